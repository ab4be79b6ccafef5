"""Which language a text is in, as far as a classifier can tell: py3langid, a port of langid.py."""

from __future__ import annotations

from collections.abc import Sequence

CHARACTERS = 400


def english_share(texts: Sequence[str]) -> float:
    """Part of the texts recognised as English; 1 where there are none."""
    import py3langid  # loads its model

    found = [py3langid.classify(text[:CHARACTERS])[0] for text in texts]
    return found.count("en") / len(found) if found else 1.0
