"""Extraction of answers, against generated texts that are labelled by hand."""

import pytest

from models.evaluation.extraction import answers_match, extract_answer, extract_choice, numbers
from tests.models.evaluation.extraction_cases import CHOICE_CASES, NUMBER_CASES, TEXT_CASES


def test_extraction_cases_number_at_least_200():
    assert len({*NUMBER_CASES}) + len({*TEXT_CASES}) + len({*CHOICE_CASES}) >= 200


@pytest.mark.parametrize(("expected", "text", "answer", "is_correct"), NUMBER_CASES + TEXT_CASES)
def test_extract_answer_returns_the_labelled_answer(expected, text, answer, is_correct):
    assert extract_answer(text, expected) == answer
    assert answers_match(answer, expected) is is_correct


@pytest.mark.parametrize(("options", "expected", "text", "answer", "is_correct"), CHOICE_CASES)
def test_extract_choice_returns_the_labelled_option(options, expected, text, answer, is_correct):
    assert extract_choice(text, options) == answer
    assert (answer == expected) is is_correct


@pytest.mark.parametrize(("options", "expected", "text", "answer", "is_correct"), CHOICE_CASES)
def test_extract_choice_with_reversed_options_returns_the_same(
    options, expected, text, answer, is_correct
):
    assert extract_choice(text, options[::-1]) == answer


def test_numbers_of_a_text_are_in_plain_digits():
    assert numbers("a 1,234.5 b-6 (-7) 8:30 +9") == ["1234.5", "6", "-7", "8", "30", "9"]
