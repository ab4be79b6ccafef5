"""Numbers in a text: exact values, in any script and the notation of a language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from models.evaluation.extraction.number_formats import SPACES, number_format, to_point_notation
from models.evaluation.extraction.rules import (
    MAGNITUDES,
    NUMBER_REWRITES,
    SYMBOL_REWRITES,
    rewrite,
)

MAX_DIGITS = 1000
"""Longer numbers are no answers; Python refuses to convert some of them."""

_MALFORMED = "\ue000"
"""Private-use character in place of separators that no notation explains."""
_MAGNITUDE = "|".join(sorted(MAGNITUDES, key=len, reverse=True))
# 千克 and 千米 are kilograms and kilometres.
_SCALED_PART = rf"(\d+(?:\.\d+)?)((?:\s?(?:{_MAGNITUDE})(?![a-z]|[克米瓦]))+)"
_SCALED = re.compile(rf"(?:{_SCALED_PART}\s?)*{_SCALED_PART}(?:(?<=[^a-z\s])(\d+))?", re.IGNORECASE)
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w.)\]])-)?(?P<digits>\d+(?:{_MALFORMED}\d+)+|\d+(?:\.\d+)?)"
    r"(?:(?P<exponent>e[+-]?\d{1,2}(?!\w))"
    r"|\s?/\s?(?P<divisor>0*[1-9]\d*)(?!\s?/|\d|\.\d)"
    r"|\s(?P<numerator>\d+)/(?P<denominator>0*[1-9]\d*)(?![\d/]))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number in a text."""

    text: str
    """Latin digits with a decimal point, or `a/b`."""
    value: Fraction
    start: int
    """Position in the normalised text."""
    end: int
    is_fraction: bool = False
    is_malformed: bool = False
    """Whether its separators fit no notation, as in `12,00`."""


def normalise_text(text: str, language: str = "") -> str:
    """Rewrite the numbers of a text to Latin digits, a minus sign and a decimal point.

    Args:
        text: any text.
        language: ISO 639-1 code of the notation; empty for English.

    Returns:
        The text in NFKC; separators that fit no notation are replaced.
    """
    text = rewrite(text, SYMBOL_REWRITES)
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    text = text.translate({ord("．"): ".", ord("，"): ","})
    separators = number_format(language)
    characters = re.escape(f"{separators.group}{separators.decimal}{SPACES}.,")
    text = re.sub(
        rf"\d+(?:[{characters}]\d+)+", lambda match: _convert_digits(match[0], language), text
    )
    text = rewrite(unicodedata.normalize("NFKC", text), NUMBER_REWRITES)
    return _SCALED.sub(_expand_magnitudes, text)


def find_numbers(normalised: str) -> list[Number]:
    """Return the numbers of a text that `normalise_text` returned, in their order."""
    return list(_iterate_numbers(normalised))


def parse_number(text: str, language: str = "") -> Number | None:
    """Return the number that a text consists of, apart from a currency or percent sign."""
    normalised = normalise_text(text, language).strip(" \n$€£¥₹₽%")
    numbers = find_numbers(normalised)
    if len(numbers) != 1 or numbers[0].is_malformed:
        return None
    number = numbers[0]
    return number if (number.start, number.end) == (0, len(normalised)) else None


def list_numbers(text: str, language: str = "") -> list[str]:
    """Return every number of a text; `12,00` in English is a list of two."""
    texts: list[str] = []
    for number in find_numbers(normalise_text(text, language)):
        texts += number.text.split(_MALFORMED)
    return texts


def decimal_text(value: Fraction) -> str:
    """Write a value as an exact decimal, or as `a/b` if it has no finite one."""
    places = 0
    denominator = value.denominator
    for factor in (2, 5):
        count = 0
        while denominator % factor == 0:
            denominator //= factor
            count += 1
        places = max(places, count)
    if denominator != 1:
        return str(value)
    scaled = abs(value.numerator) * 10**places // value.denominator
    digits = str(scaled).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits


def _iterate_numbers(text: str) -> Iterator[Number]:
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        sign, digits = match["sign"] or "", match["digits"]
        if _MALFORMED in digits or len(match[0]) > MAX_DIGITS:
            yield Number(text=digits, value=Fraction(0), start=start, end=end, is_malformed=True)
            continue
        value = Fraction(sign + digits)
        if match["exponent"]:
            value = Fraction(match[0])
            yield Number(text=decimal_text(value), value=value, start=start, end=end)
        elif match["divisor"]:
            quotient = value / int(match["divisor"])
            fraction_text = f"{sign}{digits}/{match['divisor']}"
            yield Number(text=fraction_text, value=quotient, start=start, end=end, is_fraction=True)
        elif match["numerator"]:
            part = Fraction(int(match["numerator"]), int(match["denominator"]))
            if part < 1 and "." not in digits:
                value += -part if sign else part
                yield Number(text=decimal_text(value), value=value, start=start, end=end)
                continue
            middle = match.start("numerator")
            yield Number(text=sign + digits, value=value, start=start, end=middle - 1)
            part_text = f"{match['numerator']}/{match['denominator']}"
            yield Number(text=part_text, value=part, start=middle, end=end, is_fraction=True)
        else:
            yield Number(text=sign + digits, value=value, start=start, end=end)


def _convert_digits(digits: str, language: str) -> str:
    """Convert digits with separators; plain spaces may also separate several numbers."""
    parts = digits.split(" ")
    converted: list[str] = []
    while parts:
        for length in range(len(parts), 0, -1):
            point_notation = to_point_notation(" ".join(parts[:length]), language)
            if point_notation is not None or length == 1:
                converted.append(point_notation or re.sub(r"\D", _MALFORMED, parts[0]))
                del parts[:length]
                break
    return " ".join(converted)


def _expand_magnitudes(match: re.Match[str]) -> str:
    """Multiply out: `1.5万` becomes 15000, `2万5千` 25000, `3 million` 3000000."""
    total = Fraction(0)
    for digits, words in re.findall(_SCALED_PART, match[0], re.IGNORECASE):
        powers = (MAGNITUDES[word.lower()] for word in re.findall(_MAGNITUDE, words, re.IGNORECASE))
        total += Fraction(digits) * 10 ** sum(powers)
    return decimal_text(total + int(match[match.re.groups] or 0))
