"""Scores of tasks and suites with their errors."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mean_and_error(scores: Sequence[float]) -> tuple[float, float]:
    """Mean score and its standard error, the sample's deviation over the root of n.

    For right or wrong answers that is sqrt(p (1 - p) / (n - 1)). Raises ValueError for no score.
    """
    n = len(scores)
    if n == 0:
        raise ValueError("no item was scored")
    mean = sum(scores) / n
    if n == 1:
        return mean, 0.0
    variance = sum((score - mean) ** 2 for score in scores) / (n - 1)
    return mean, math.sqrt(variance / n)


def macro(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Mean over tasks, each counting the same, and its error (tasks are batch_invariant_config)."""
    n = len(values)
    return sum(values) / n, math.sqrt(sum(error**2 for error in errors)) / n


def normalised(score: float, random_score: float, maximum: float = 1.0) -> float:
    """100 * (score - random) / (maximum - random), as in BIG-bench; below 0: worse than chance."""
    return 100 * (score - random_score) / (maximum - random_score)
