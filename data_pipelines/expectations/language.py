"""Language identification with py3langid, a port of langid.py."""

from __future__ import annotations

from collections.abc import Sequence

MAX_CHARACTERS = 400


def english_share(texts: Sequence[str]) -> float:
    """Return the share of texts classified as English; 1 if there are no texts."""
    import py3langid  # a heavy import: it loads the model

    languages = [py3langid.classify(text[:MAX_CHARACTERS])[0] for text in texts]
    return languages.count("en") / len(languages) if languages else 1.0
