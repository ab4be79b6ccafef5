"""How each language writes numbers: separators and groups of digits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

SPACES = "\u00a0\u202f\u2009"
"""No-break, narrow no-break and thin space: separators of groups in every language (SI)."""


@dataclass(frozen=True, kw_only=True)
class NumberFormat:
    """Separators of a language. Source: CLDR, unless a comment names another."""

    decimal: str
    group: str
    """Characters that separate groups, those of `SPACES` apart."""
    grouping: Literal["thousands", "indian"] = "thousands"
    """1,234,567 or 12,34,567; the first is accepted everywhere."""


ENGLISH = NumberFormat(decimal=".", group=",")

NUMBER_FORMATS = {
    "ar": NumberFormat(decimal="\u066b.", group="\u066c,"),
    "bn": NumberFormat(decimal=".", group=",", grouping="indian"),
    # The apostrophe: CLDR, de-CH; the space: DIN 5008.
    "de": NumberFormat(decimal=",", group=".'\u2019 "),
    "en": ENGLISH,
    "es": NumberFormat(decimal=",", group=". "),  # the space: Ortografía de la RAE (2010)
    "fi": NumberFormat(decimal=",", group=" "),
    "fr": NumberFormat(decimal=",", group=" "),
    "id": NumberFormat(decimal=",", group="."),
    "ja": ENGLISH,
    "ko": ENGLISH,
    "ru": NumberFormat(decimal=",", group=" "),
    "sw": ENGLISH,
    "te": NumberFormat(decimal=".", group=",", grouping="indian"),
    "th": ENGLISH,
    "zh": ENGLISH,
}
"""ISO 639-1 code -> format, for the languages of the suites. Where CLDR has a no-break space, the
plain space of keyboards separates groups, too."""


def number_format(language: str) -> NumberFormat:
    """Return the format of a language; English if the language is not in the table."""
    return NUMBER_FORMATS.get(language, ENGLISH)


def to_point_notation(digits: str, language: str) -> str | None:
    """Rewrite digits with separators to digits with a decimal point only.

    The language's own format is tried first, then English's, so `3.5` is read in a German text,
    where only `3.500` is a group.

    Args:
        digits: a number without sign, `1.500,50`.
        language: ISO 639-1 code; empty for English.

    Returns:
        `1500.50`, or None if the separators fit neither format: `12,00` in English.
    """
    for candidate in (number_format(language), ENGLISH):
        match = _pattern(candidate).fullmatch(digits)
        if match:
            integer = "".join(filter(str.isdigit, match["integer"]))
            return f"{integer}.{match['fraction']}" if match["fraction"] else integer
    return None


@cache
def _pattern(number_format: NumberFormat) -> re.Pattern[str]:
    group = f"[{re.escape(number_format.group)}{SPACES}]"
    # The separators of one number are equal; a group is not zero: 0.500 is a half in German, too.
    groups = [rf"[1-9]\d{{0,2}}(?:(?P<a>{group})\d{{3}}(?:(?P=a)\d{{3}})*)"]
    if number_format.grouping == "indian":
        groups.append(rf"[1-9]\d?(?:(?P<b>{group})\d{{2}}(?:(?P=b)\d{{2}})*(?P=b)\d{{3}})")
    decimal = f"[{re.escape(number_format.decimal)}]"
    return re.compile(rf"(?P<integer>{'|'.join(groups)}|\d+)(?:{decimal}(?P<fraction>\d+))?")
