"""Which second moments Adafactor factors into rows and columns. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

MIN_FACTORED_SIDE = 128
"""As in T5X."""


def is_factored(shape: Sequence[int]) -> bool:
    """Return whether the second moments of a weight of this shape are factored.

    The last two dimensions decide: a leading one stacks the matrices of several experts.
    """
    return len(shape) > 1 and min(shape[-2:]) >= MIN_FACTORED_SIDE
