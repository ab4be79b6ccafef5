"""Suggestions for mistyped names in error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'NAME'? " for the known name closest to `name`; "" if none is close."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {matches[0]!r}? " if matches else ""
