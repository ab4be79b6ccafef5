"""Numbers: exact values, and the notation of each language against Unicode's CLDR."""

import random
from fractions import Fraction

import pytest
from babel import Locale
from babel.numbers import format_decimal

from models.evaluation.extraction.number_formats import NUMBER_FORMATS, to_point_notation
from models.evaluation.extraction.numbers import (
    MAX_DIGITS,
    decimal_text,
    find_numbers,
    list_numbers,
    normalise_text,
    parse_number,
)


@pytest.mark.parametrize("language", NUMBER_FORMATS)
def test_numbers_in_the_notation_of_cldr_have_their_value(language):
    generator = random.Random(0)
    for _ in range(200):
        value = generator.choice([generator.randrange(10**9), generator.randrange(10**7) / 1000])
        text = format_decimal(value, format=None, locale=Locale(language))
        assert parse_number(text, language).value == Fraction(str(value)), text


@pytest.mark.parametrize(
    ("digits", "language", "value"),
    [
        ("1.500", "de", "1500"), ("1.500", "", "1.500"), ("1.500,50", "de", "1500.50"),
        ("1,5", "de", "1.5"), ("3.5", "de", "3.5"), ("1\u202f500", "fr", "1500"),
        ("1\u00a0500", "", "1500"), ("1\u2009500\u2009000", "", "1500000"),
        ("1,00,000", "bn", "100000"),
        ("1,00,000", "", None), ("12,00", "", None), ("1.234.56", "", None),
        ("1'500", "de", "1500"), ("0.500", "de", "0.500"), ("1 500", "de", "1500"),
        ("0,500", "", None),
        ("1 500", "es", "1500"), ("1,234.56", "de", "1234.56"), ("1\u00a0500,5", "ru", "1500.5"),
    ],
)  # fmt: skip
def test_to_point_notation_follows_the_language(digits, language, value):
    assert to_point_notation(digits, language) == value


def test_numbers_of_a_text_are_in_plain_digits():
    assert list_numbers("a 1,234.5 b-6 (-7) 8:30 +9") == ["1234.5", "6", "-7", "8", "30", "9"]
    assert list_numbers("6,9 and 12") == ["6", "9", "12"]


def test_big_integers_are_exact():
    number = str(2**53 + 1)
    assert parse_number(number).value == 2**53 + 1
    assert parse_number(number).text == number
    assert parse_number(f"{2**53 + 1:,}").text == number


def test_more_than_a_thousand_digits_are_no_number():
    assert parse_number("1" * MAX_DIGITS).value > 10 ** (MAX_DIGITS - 1)
    assert parse_number("1" * (MAX_DIGITS + 1)) is None
    (number,) = find_numbers(normalise_text("so 1" + "0" * MAX_DIGITS))
    assert number.is_malformed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(7, 2), "3.5"), (Fraction(-1, 8), "-0.125"), (Fraction(1, 3), "1/3"),
        (Fraction(10**20), "1" + "0" * 20), (Fraction(0), "0"), (Fraction(1, 40), "0.025"),
    ],
)  # fmt: skip
def test_decimal_text_is_exact(value, text):
    assert decimal_text(value) == text
    assert Fraction(text) == value
