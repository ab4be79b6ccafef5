"""Extraction of free-form answers, and their comparison with the expected answer."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from itertools import pairwise

from models.evaluation.extraction.extraction import (
    AMBIGUOUS,
    NO_ANSWER,
    Extraction,
    after_correction,
    assessments_last,
    is_assessment,
    marked_clauses,
)
from models.evaluation.extraction.numbers import (
    Number,
    find_numbers,
    list_numbers,
    normalise_text,
    parse_number,
)
from models.evaluation.extraction.rules import ALTERNATIVES, OPERATOR, REASON

_UNIT = re.compile(r"\s*\([^()]*\)$")


def extract_answer(text: str, expected: str, language: str = "") -> Extraction:
    """Extract the answer from a free text, in the form of the expected answer.

    The answer is in the clause after the last marker that an answer follows, such as "the answer
    is". Without such a marker it is, if a number is expected, the last number of the text,
    otherwise the complete text. If several numbers are expected, it is all numbers, joined by "; ".

    Args:
        text: generated text.
        expected: the expected answer.
        language: ISO 639-1 code of the item's language; empty for English.

    Returns:
        The answer; without one if the text gives none or several.
    """
    if is_number_list(expected):
        return _extract_number_list(text, language)
    if parse_number(without_unit(expected)) is not None:
        return _extract_number(text, language)
    return _extract_text(text)


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
    if is_number_list(expected):
        return _sorted_values(answer) == _sorted_values(expected)
    expected_number, answer_number = parse_number(without_unit(expected)), parse_number(answer)
    if expected_number is not None and answer_number is not None:
        return answer_number.value == expected_number.value
    return _comparable(without_unit(expected)) == _comparable(without_unit(answer))


def is_number_list(expected: str) -> bool:
    """Return whether an expected answer is several numbers: `6 (years old); 9 (years old)`."""
    return ";" in expected and len(list_numbers(expected)) == expected.count(";") + 1


def without_unit(answer: str) -> str:
    """Drop a unit in parentheses: `9 (apples)` becomes `9`; `(apples)` stays."""
    return _UNIT.sub("", answer) or answer


def _extract_number_list(text: str, language: str) -> Extraction:
    for clause in assessments_last(marked_clauses(text)):
        numbers = list_numbers(clause.text, language)
        if numbers:
            return Extraction(answer="; ".join(numbers))
    return Extraction(answer="; ".join(list_numbers(text, language)) or None)


def _extract_text(text: str) -> Extraction:
    for clause in marked_clauses(text):
        answer = _collapse(clause.text)
        if answer and not is_assessment(answer):
            return Extraction(answer=answer)
    return Extraction(answer=_collapse(text) or None)


def _extract_number(text: str, language: str) -> Extraction:
    has_other_answer = False
    for clause in assessments_last(marked_clauses(text)):
        notation = (
            "en" if clause.language == "en" and _has_english_groups(clause.text) else language
        )
        for part in (REASON.pattern.sub("", clause.text), clause.text):
            normalised = normalise_text(part, notation)
            numbers = find_numbers(normalised)
            if numbers:
                return _number_after_marker(normalised, numbers)
        has_other_answer |= not is_assessment(clause.text)
    if has_other_answer:
        return NO_ANSWER
    normalised = normalise_text(after_correction(text), language)
    numbers = find_numbers(normalised)
    return _last_number(normalised, numbers) if numbers else NO_ANSWER


def _number_after_marker(text: str, numbers: list[Number]) -> Extraction:
    """Return the first number of a clause, or the side of its equation that is no calculation."""
    *lhs_sides, rhs = text.split("=")
    if lhs_sides:
        position = len(text) - len(rhs)
        rhs_numbers = [number for number in numbers if number.start >= position]
        lhs_numbers = [
            n for n in numbers if position - 1 - len(lhs_sides[-1]) <= n.start < position
        ]
        if rhs_numbers and not _is_calculation(text, rhs_numbers):
            if len(lhs_numbers) == 1 and not lhs_numbers[0].is_fraction:
                return _only(lhs_numbers[0], rhs_numbers[0])
            return _single(rhs_numbers[0])
        return _single(lhs_numbers[0]) if len(lhs_numbers) == 1 else AMBIGUOUS
    if len(numbers) > 1 and _is_joined(text, numbers[0], numbers[1]):
        return AMBIGUOUS
    return _single(numbers[0])


def _last_number(text: str, numbers: list[Number]) -> Extraction:
    """Return the last number, or the result of the calculation that it belongs to."""
    lhs, equals, _ = text.rpartition("=")
    if equals:
        rhs_numbers = [number for number in numbers if number.start > len(lhs)]
        side = lhs.rpartition("=")[2].rpartition("\n")[2]
        lhs_numbers = [n for n in numbers if len(lhs) - len(side) <= n.start < len(lhs)]
        if len(lhs_numbers) == 1 and _is_calculation(text, rhs_numbers):
            return _single(lhs_numbers[0])
    if len(numbers) > 1 and _is_joined(text, numbers[-2], numbers[-1]):
        return AMBIGUOUS
    return _single(numbers[-1])


def _single(number: Number) -> Extraction:
    return AMBIGUOUS if number.is_malformed else Extraction(answer=number.text)


def _only(first: Number, second: Number) -> Extraction:
    """Return a number that two sides of an equation agree on."""
    return _single(second) if first.value == second.value else AMBIGUOUS


def _is_calculation(text: str, numbers: list[Number]) -> bool:
    """Return whether numbers are several with operators between them."""
    betweens = [text[a.end : b.start] for a, b in pairwise(numbers)]
    return bool(betweens) and all(OPERATOR.pattern.fullmatch(between) for between in betweens)


def _is_joined(text: str, first: Number, second: Number) -> bool:
    """Return whether two numbers are alternatives, a range or a calculation without its result."""
    between = text[first.end : second.start]
    if "\n" in between:
        return False
    is_alternative = between.isspace() or ALTERNATIVES.pattern.fullmatch(between) is not None
    is_calculation = OPERATOR.pattern.fullmatch(between) is not None
    return is_calculation or (is_alternative and first.value != second.value)


def _has_english_groups(clause: str) -> bool:
    """Return whether commas separate groups of three, as in English: `1,500`."""
    return re.search(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d|,\d)", clause) is not None


def _sorted_values(text: str) -> list[Fraction]:
    return sorted(number.value for number in find_numbers(normalise_text(text)))


def _collapse(text: str) -> str:
    return " ".join(text.split()).strip(' .:*"')


def _comparable(text: str) -> str:
    """Drop variants of spelling: `3:30 p.m.` becomes `3:30 pm`, `3 : 4` becomes `3:4`."""
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text)
    text = re.sub(r"\s*([:/])\s*", r"\1", text)
    return text.strip(" .,:;!\"'")
