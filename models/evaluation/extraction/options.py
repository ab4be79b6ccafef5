"""Extraction of the option that a generated text names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from models.evaluation.extraction.extraction import (
    AMBIGUOUS,
    NO_ANSWER,
    Extraction,
    after_correction,
    assessments_last,
    is_assessment,
    marked_clauses,
)
from models.evaluation.extraction.rules import (
    CONCLUSION,
    JOINED_OPTIONS,
    LEADING_OPTION_END,
    LETTER_FORMS,
    LETTER_REWRITES,
    MARKED_LETTER_FORMS,
    NEGATED_OPTION,
    NO_DETERMINER,
    REJECTED_OPTION,
    Pattern,
    rewrite,
)


class Mention(NamedTuple):
    """An option in a text."""

    start: int
    end: int
    core: str
    """The option without brackets, in lower case."""


def extract_choice(text: str, options: Sequence[str]) -> Extraction:
    """Extract the option that a text names as its answer.

    The option is in the clause after the last marker that an answer follows, such as "the answer
    is". Without such a marker, a text names the option that it is, concludes with or begins with;
    other texts must name only one. `(B)`, `B` and `B.` all name option B; options that the text
    rejects do not count.

    Args:
        text: generated text.
        options: the possible answers.

    Returns:
        One of `options`; no answer if the text names none or several.
    """
    option_by_core = {_core(option): option for option in options}
    core = _core(text)
    if core not in option_by_core:
        cores = list(option_by_core)
        are_letters = all(len(c) == 1 and c.isalpha() for c in cores)
        reader = _LetterReader(cores) if are_letters else _WordReader(cores)
        extraction = _extract_core(text, reader)
        if extraction.answer not in option_by_core:
            return AMBIGUOUS if extraction.is_ambiguous else NO_ANSWER
        core = extraction.answer
    return Extraction(answer=option_by_core[core])


class _LetterReader:
    """Finds options that are letters."""

    def __init__(self, cores: list[str]) -> None:
        self.cores = cores

    def rewrite(self, text: str) -> str:
        """Drop the letters that a text rejects."""
        return rewrite(text, LETTER_REWRITES)

    def find(self, text: str, *, is_marked: bool) -> list[Mention]:
        """Return the letters in a rewritten text; the first is the one that it names foremost."""
        forms = MARKED_LETTER_FORMS if is_marked else LETTER_FORMS
        mentions = [mention for form in forms for mention in _letters(form, text)]
        first = mentions[:1]
        return first + sorted(mention for mention in set(mentions) if mention not in first)


class _WordReader:
    """Finds options that are words or phrases."""

    def __init__(self, cores: list[str]) -> None:
        self.cores = cores
        # Longer options first, so that "not valid" does not match "valid".
        alternatives = "|".join(re.escape(c) for c in sorted(cores, key=len, reverse=True))
        self.pattern = re.compile(rf"(?<!\w)(?P<core>{alternatives})(?!\w)")
        self.negated = re.compile(
            rf"(?:{NEGATED_OPTION.pattern.pattern})(?P<core>{alternatives})(?!\w)"
        )
        self.rejected = re.compile(rf"(?<!\w)(?:{alternatives}){REJECTED_OPTION.pattern.pattern}")
        self.has_negated_option = any(re.match(r"not?\s", core) for core in cores)

    def rewrite(self, text: str) -> str:
        """Replace "not X" by the other of two options; drop what else the text rejects."""
        text = _normalise(text)
        if "no" in self.cores and not self.has_negated_option:
            text = rewrite(text, (NO_DETERMINER,))
        text = self.rejected.sub("", text)
        return text if self.has_negated_option else self.negated.sub(self._complement, text)

    def find(self, text: str, *, is_marked: bool) -> list[Mention]:
        """Return the options in a rewritten text, in their order."""
        return [Mention(m.start(), m.end(), m["core"]) for m in self.pattern.finditer(text)]

    def _complement(self, match: re.Match[str]) -> str:
        others = [core for core in self.cores if core != match["core"]]
        return f" {others[0]}" if len(others) == 1 else " "


def _extract_core(text: str, reader: _LetterReader | _WordReader) -> Extraction:
    has_other_answer = False
    clauses = list(marked_clauses(text))
    # Where an option is such a word, as in "left" and "right", it is an answer.
    if not any(is_assessment(core) for core in reader.cores):
        clauses = assessments_last(clauses)
    for clause in clauses:
        rewritten = reader.rewrite(clause.text)
        mentions = reader.find(rewritten, is_marked=True)
        if mentions:
            return _select(rewritten, mentions, mentions[0])
        has_other_answer |= not is_assessment(clause.text)
    if has_other_answer:
        return NO_ANSWER
    rewritten = reader.rewrite(after_correction(text))
    mentions = [m for m in reader.find(rewritten, is_marked=False) if m.core in reader.cores]
    concluded = _concluding_mention(rewritten, reader)
    named = {mention.core for mention in mentions}
    if concluded is None and len(named) < 2:
        return Extraction(answer=named.pop()) if named else NO_ANSWER
    leading = _leading_mention(rewritten, mentions) if mentions else None
    if concluded and leading and concluded.core != leading.core:
        return AMBIGUOUS
    mention = concluded or leading
    return _select(rewritten, mentions, mention) if mention else AMBIGUOUS


def _select(text: str, mentions: list[Mention], mention: Mention) -> Extraction:
    """Return a mentioned option, unless the text joins it with another: "A or B"."""
    for other in mentions:
        first, second = sorted((mention, other))
        is_joined = JOINED_OPTIONS.pattern.fullmatch(text[first.end : max(first.end, second.start)])
        if other.core != mention.core and is_joined:
            return AMBIGUOUS
    return Extraction(answer=mention.core)


def _leading_mention(text: str, mentions: list[Mention]) -> Mention | None:
    """Return the option that a text begins with, before punctuation: "Yes, it is"."""
    first = min(mentions)
    is_first = re.fullmatch(r"\W*", text[: first.start]) is not None
    is_separate = LEADING_OPTION_END.pattern.match(text[first.end :]) is not None
    return first if is_first and is_separate else None


def _concluding_mention(text: str, reader: _LetterReader | _WordReader) -> Mention | None:
    """Return the option in the last clause that concludes: "so it is (B)", "= True"."""
    conclusions = list(CONCLUSION.pattern.finditer(text))
    if not conclusions:
        return None
    start = conclusions[-1].start()
    mentions = [m for m in reader.find(text[start:], is_marked=True) if m.core in reader.cores]
    if len({mention.core for mention in mentions}) != 1:
        return None
    first = mentions[0]
    return Mention(start + first.start, start + first.end, first.core)


def _letters(form: Pattern, text: str) -> list[Mention]:
    return [Mention(*m.span(1), m[1].casefold()) for m in form.pattern.finditer(text)]


def _normalise(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _core(option: str) -> str:
    """Strip brackets and punctuation: `(B)`, `B.` and `b` become `b`."""
    return _normalise(option).strip(" .:,!()*\"'")
