"""Texts from data, names and models as plain text: never as Markdown, never endless."""

from __future__ import annotations

import math
import re

MAX_LENGTH = 2_000
MAX_NAME = 60
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=])")
_ISOLATE, _END = "\u2068", "\u2069"
"""First strong isolate: a text from right to left does not reorder the sentence around it."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def shorten(text: str, limit: int = MAX_LENGTH) -> str:
    """Return a text without control characters, and with an ellipsis where it is cut."""
    text = _CONTROLS.sub("\ufffd", text[: limit + 1])
    return text if len(text) <= limit else text[:limit] + "…"


def name(text: str) -> str:
    """Return a name for a label of a chart, a table or an option."""
    return " ".join(shorten(text, MAX_NAME).split()) or "(empty)"


def escape(text: str, limit: int = MAX_LENGTH) -> str:
    """Return a text for a place that reads Markdown, such that it is shown as it is."""
    line = " ".join(shorten(text, limit).split())
    return _ISOLATE + _MARKUP.sub(r"\\\1", line) + _END


def percent(share: float) -> str:
    """Return a score in percent."""
    return f"{100 * share:.1f} %" if math.isfinite(share) else "not finite"


def points(difference: float) -> str:
    """Return a difference of scores in points, with its sign."""
    return f"{100 * difference:+.1f}"


def points_interval(difference: float, low: float, high: float) -> str:
    """Return a difference of scores in points with its interval."""
    return f"{points(difference)} ({points(low)} … {points(high)})"
