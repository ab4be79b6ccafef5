"""Extraction of the answer from a generated text, and its comparison with the expected answer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_ANSWER_MARKER = re.compile(r"\banswer(?: is|:)(?::| that)?", re.IGNORECASE)
# A minus belongs to a number only if no number or word precedes it: 16-3 contains 16 and 3.
_NUMBER = re.compile(r"(?<![\w.)])-?\d+(?:\.\d+)?|\d+(?:\.\d+)?")
_SINGLE_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_THOUSANDS_SEPARATOR = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_UNIT = re.compile(r"\s*\([^()]*\)$")


def extract_choice(text: str, options: Sequence[str]) -> str | None:
    """Extract the option that a text names as its answer.

    After the last "the answer is", the first option counts. Without this marker, the answer is the
    text itself if it is an option, otherwise the last option in it. `(B)`, `B` and `B.` all name
    option B; a bare letter inside a sentence counts only after the marker.

    Args:
        text: generated text.
        options: the possible answers.

    Returns:
        One of `options`, or None if the text names none.
    """
    option_by_core = {_core(option): option for option in options}
    after_marker = _text_after_answer_marker(text)
    tail = after_marker if after_marker is not None else text
    if _core(tail) in option_by_core:
        return option_by_core[_core(tail)]
    are_letters = all(len(core) == 1 and core.isalpha() for core in option_by_core)
    if are_letters:
        letters = re.findall(r"\(([A-Za-z])\)", tail) or re.findall(r"^\s*([A-Z])\b[.):]?", tail)
        if after_marker is not None and not letters:
            letters = re.findall(r"\b([A-Z])\b", tail)
        matches = [core for core in map(_core, letters) if core in option_by_core]
    else:
        # Longer options first, so that "not valid" does not match "valid".
        cores = sorted(option_by_core, key=len, reverse=True)
        pattern = "|".join(rf"(?<!\w){re.escape(core)}(?!\w)" for core in cores)
        matches = re.findall(pattern, _normalised_text(tail))
    if not matches:
        return None
    return option_by_core[matches[0] if after_marker is not None else matches[-1]]


def extract_answer(text: str, expected: str) -> str | None:
    """Extract the answer from a free text, in the form of the expected answer.

    If a number is expected: after the last "the answer is" the first number, or the right-hand side
    of an equation there; without this marker the last number. If several numbers are expected: all
    numbers, joined by "; ". Otherwise: the text after the marker, or the complete text.

    Args:
        text: generated text.
        expected: the expected answer.

    Returns:
        The answer, or None if the text contains none.
    """
    after_marker = _text_after_answer_marker(text)
    tail = after_marker if after_marker is not None else text
    expected_numbers = numbers(expected)
    if len(expected_numbers) == 1 and _SINGLE_NUMBER.fullmatch(
        _normalised_text(_without_unit(expected)).replace(",", "")
    ):
        if after_marker is not None and "=" in after_marker.split("\n")[0]:
            tail, after_marker = after_marker.split("\n")[0].rpartition("=")[2], ""
        tail_numbers = numbers(tail)
        if not tail_numbers:
            return None
        return tail_numbers[0] if after_marker is not None else tail_numbers[-1]
    if ";" in expected and len(expected_numbers) == expected.count(";") + 1:
        return "; ".join(numbers(tail)) or None
    answer = " ".join(tail.split()).strip(" .:")
    return answer or None


def answers_match(answer: str | None, expected: str) -> bool:
    """Compare an extracted answer with the expected one: numbers by value, other texts by letters.

    Args:
        answer: extracted answer; None never matches.
        expected: the expected answer.

    Returns:
        Whether both are the same answer.
    """
    if answer is None:
        return False
    if ";" in expected:
        expected_numbers, answer_numbers = numbers(expected), numbers(answer)
        if len(expected_numbers) == expected.count(";") + 1:
            return sorted(map(float, expected_numbers)) == sorted(map(float, answer_numbers))
    expected_text = _normalised_text(_without_unit(expected))
    answer_text = _normalised_text(answer)
    expected_number = expected_text.replace(",", "")
    if _SINGLE_NUMBER.fullmatch(expected_number) and _SINGLE_NUMBER.fullmatch(answer_text):
        return float(answer_text) == float(expected_number)
    return _comparable(expected_text) == _comparable(_normalised_text(_without_unit(answer)))


def numbers(text: str) -> list[str]:
    """Return every number of a text, in Latin digits, without thousands separators."""
    return _NUMBER.findall(_THOUSANDS_SEPARATOR.sub("", _normalised_text(text)))


def _text_after_answer_marker(text: str) -> str | None:
    """Return the text after the last "the answer is"; None without this marker."""
    markers = list(_ANSWER_MARKER.finditer(text))
    return text[markers[-1].end() :] if markers else None


def _normalised_text(text: str) -> str:
    """Apply NFKC and case folding; use Latin digits, ASCII minus and single spaces."""
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    digits = (str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    return " ".join("".join(digits).casefold().split())


def _core(option: str) -> str:
    """Strip brackets and punctuation: `(B)`, `B.` and `b` become `b`."""
    return _normalised_text(option).strip(" .:,!()\"'")


def _comparable(text: str) -> str:
    """Drop variants of spelling: `3:30 p.m.` becomes `3:30 pm`, `3 : 4` becomes `3:4`."""
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text)
    text = re.sub(r"\s*([:/])\s*", r"\1", text)
    return text.strip(" .,:;!\"'")


def _without_unit(answer: str) -> str:
    """Drop a unit in parentheses: `9 (apples)` becomes `9`; `(apples)` stays."""
    return _UNIT.sub("", answer) or answer
