"""From what a model wrote to the answer it gave."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_MARK = re.compile(r"\banswer(?: is|:)(?::| that)?", re.IGNORECASE)
# A sign is one only where no number or word stands before it: 16-3 holds 16 and 3.
_NUMBER = re.compile(r"(?<![\w.)])-?\d+(?:\.\d+)?|\d+(?:\.\d+)?")
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_UNIT = re.compile(r"\s*\([^()]*\)$")


def extract_choice(written: str, options: Sequence[str]) -> str | None:
    """Which option a text gives as its answer; None if it names none.

    Behind the last "the answer is", the first one named. Without these words, the text itself if
    it is an option, else the last one named. `(B)`, `B` and `B.` name the option B; a bare letter
    within a sentence does only behind "the answer is".
    """
    by_core = {_core(option): option for option in options}
    told = _told(written)
    tail = told if told is not None else written
    if _core(tail) in by_core:
        return by_core[_core(tail)]
    letters = all(len(core) == 1 and core.isalpha() for core in by_core)
    if letters:
        named = re.findall(r"\(([A-Za-z])\)", tail) or re.findall(r"^\s*([A-Z])\b[.):]?", tail)
        if told is not None and not named:
            named = re.findall(r"\b([A-Z])\b", tail)
        found = [core for core in (_core(name) for name in named) if core in by_core]
    else:
        # Longer ones first: "not valid" is not "valid".
        cores = sorted(by_core, key=len, reverse=True)
        pattern = "|".join(rf"(?<!\w){re.escape(core)}(?!\w)" for core in cores)
        found = re.findall(pattern, _plain(tail))
    if not found:
        return None
    return by_core[found[0] if told is not None else found[-1]]


def extract_answer(written: str, expected: str) -> str | None:
    """The answer a text gives, in the form that `expected` has; None if it gives none.

    Where a number is expected: behind the last "the answer is" the first number, or what an
    equation there comes to; without these words the last number. Where several are: all of them,
    joined by "; ". Else the text behind these words, or all of it.
    """
    told = _told(written)
    tail = told if told is not None else written
    wanted = numbers(expected)
    if len(wanted) == 1 and _PLAIN.fullmatch(_plain(_without_unit(expected)).replace(",", "")):
        if told is not None and "=" in told.split("\n")[0]:
            tail, told = told.split("\n")[0].rpartition("=")[2], ""
        found = numbers(tail)
        if not found:
            return None
        return found[0] if told is not None else found[-1]
    if ";" in expected and len(wanted) == expected.count(";") + 1:
        found = numbers(tail)
        return "; ".join(found) or None
    answer = " ".join(tail.split()).strip(" .:")
    return answer or None


def answers_match(given: str | None, expected: str) -> bool:
    """Whether an extracted answer is the expected one: numbers by value, texts by their letters."""
    if given is None:
        return False
    if ";" in expected:
        wanted, found = numbers(expected), numbers(given)
        if len(wanted) == expected.count(";") + 1:
            return sorted(map(float, wanted)) == sorted(map(float, found))
    bare, said = _plain(_without_unit(expected)), _plain(given)
    if _PLAIN.fullmatch(bare.replace(",", "")) and _PLAIN.fullmatch(said):
        return float(said) == float(bare.replace(",", ""))
    return _letters(bare) == _letters(_plain(_without_unit(given)))


def numbers(text: str) -> list[str]:
    """Every number of a text, in Latin digits, without thousands separators."""
    return _NUMBER.findall(_GROUPED.sub("", _plain(text)))


def _told(written: str) -> str | None:
    """What stands behind the last "the answer is"."""
    marks = list(_MARK.finditer(written))
    return written[marks[-1].end() :] if marks else None


def _plain(text: str) -> str:
    """Lower case; full-width and other scripts' digits as ours; one kind of minus and space."""
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    digits = (str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    return " ".join("".join(digits).casefold().split())


def _core(option: str) -> str:
    """`(B)`, `B.` and `b` -> `b`."""
    return _plain(option).strip(" .:,!()\"'")


def _letters(text: str) -> str:
    """What has to agree: `3:30 p.m.` as `3:30 pm`, `3 : 4` as `3:4`, no final stop."""
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text)
    text = re.sub(r"\s*([:/])\s*", r"\1", text)
    return text.strip(" .,:;!\"'")


def _without_unit(answer: str) -> str:
    """`9 (apples)` -> `9`; what is in parentheses alone stays."""
    return _UNIT.sub("", answer) or answer
