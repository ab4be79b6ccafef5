"""Answers out of texts, against outputs checked by hand."""

import pytest

from models.evaluation.extraction import extract_answer, extract_choice, numbers, answers_match
from tests.models.evaluation.written_answers import NUMBERS, OPTIONS, TEXTS


def test_there_are_enough_of_them():
    assert len({*NUMBERS}) + len({*TEXTS}) + len({*OPTIONS}) >= 200


@pytest.mark.parametrize(("expected", "written", "given", "right"), NUMBERS + TEXTS)
def test_written_answers(expected, written, given, right):
    assert extract_answer(written, expected) == given
    assert answers_match(given, expected) is right


@pytest.mark.parametrize(("options", "expected", "written", "given", "right"), OPTIONS)
def test_written_options(options, expected, written, given, right):
    assert extract_choice(written, options) == given
    assert (given == expected) is right


@pytest.mark.parametrize(("options", "expected", "written", "given", "right"), OPTIONS)
def test_the_order_of_options_does_not_matter(options, expected, written, given, right):
    assert extract_choice(written, options[::-1]) == given


def test_numbers_of_a_text():
    assert numbers("a 1,234.5 b-6 (-7) 8:30 +9") == ["1234.5", "6", "-7", "8", "30", "9"]
