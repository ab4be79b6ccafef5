"""Evaluation items that have no specific n-gram, and whether a training row contains one.

The words of the question occur in the row; further evidence is needed where they are unspecific:

- a question of at least 8 words, the smallest n of GPT-3 (arXiv 2005.14165, appendix C): none;
- a shorter question: that it is a sentence or line of its own, as after `Question:`;
- a question of several items ("Which of these is true?"): that all options of the item stand next
  to it, in any order and layout;
- a formula: that the symbols are equal, too.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from data_pipelines.cleaning.words import unescape

MIN_SPECIFIC_WORDS = 8
MIN_OPTION_WORDS = 3
"""Options with fewer words, such as yes and no, identify no item."""
_LABEL_CHARACTERS = 24
"""Space for the label of an option and for line breaks, in characters of normalised text."""
_LEAD_CHARACTERS = 60
"""Space between a question and its options, e.g. `Choose from the following:`."""
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")
_GAP = r"(?:</?[A-Za-z][^<>]{0,200}>|[\W_])*"
_SENTENCE_END = re.compile(r"[.?!:;|\n\r\t\"“”„«»()\[\]{}<>*•]|(?<!\w)['‘’`-]|['‘’`-](?!\w)")
_SYMBOL = re.compile(r"[()\[\]{}<>+*/=^|&~\\]")


@dataclass(frozen=True)
class ShortItem:
    """An evaluation item without a specific n-gram."""

    words: str
    """The normalised question, or the complete text of the item."""
    question: str
    """The same as published."""
    options: tuple[str, ...]
    """The normalised options; empty where an option has no word."""
    is_unique: bool
    """Whether no other item of the suite has the same words as its question, and they are not too
    few."""


def contains_item(text: str, words: str, item: ShortItem) -> bool:
    """Return whether a text that contains the words of the item's question contains the item.

    Args:
        text: inputs or targets of a training row.
        words: the normalised text.
        item: the item.
    """
    question_words = item.words.split(" ")
    if _SYMBOL.search(item.question):
        if _squeeze(item.question) in _squeeze(text):
            return True
        if all(word.isascii() and (len(word) == 1 or word.isdigit()) for word in question_words):
            return False
    if item.is_unique and (
        len(question_words) >= MIN_SPECIFIC_WORDS or _has_sentence(text, question_words)
    ):
        return True
    option_words = [word for option in item.options for word in option.split()]
    return (
        len(option_words) >= MIN_OPTION_WORDS
        and _has_options(words, item)
        and (
            len(question_words) + len(option_words) >= MIN_SPECIFIC_WORDS
            or _has_sentence(text, question_words)
        )
    )


def _has_sentence(text: str, words: list[str]) -> bool:
    """Return whether the words are a sentence or line of the text."""
    text = unescape(text)
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    pattern = r"(?<!\w)" + _GAP.join(map(re.escape, words)) + r"(?!\w)"
    for match in re.finditer(pattern, text, re.IGNORECASE):
        before = re.search(_GAP + r"\Z", text[: match.start()])
        after = re.match(_GAP, text[match.end() :])
        if _is_boundary(before, match.start()) and _is_boundary(after, len(text) - match.end()):
            return True
    return False


def _is_boundary(gap: re.Match[str] | None, num_characters: int) -> bool:
    """Return whether a gap ends a sentence, or extends to the end of the text.

    Args:
        gap: the characters between a sentence and the next word.
        num_characters: number of characters between the sentence and the end of the text.
    """
    characters = gap[0] if gap else ""
    return len(characters) == num_characters or bool(_SENTENCE_END.search(characters))


def _has_options(words: str, item: ShortItem) -> bool:
    """Return whether all options stand next to the question."""
    options = [option for option in item.options if option]
    reach = _LEAD_CHARACTERS + sum(len(option) + _LABEL_CHARACTERS for option in options)
    padded, question = f" {words} ", f" {item.words} "
    start = padded.find(question)
    while start >= 0:
        end = start + len(question)
        before, after = padded[max(0, start - reach) : start + 1], padded[end - 1 : end + reach]
        if all(f" {option} " in before or f" {option} " in after for option in options):
            return True
        start = padded.find(question, start + 1)
    return False


def _squeeze(text: str) -> str:
    """Return the text in lower case without white space."""
    return "".join(unescape(text).lower().split())
