"""Scores of tasks and suites with their errors."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mean_and_error(correct: Sequence[bool]) -> tuple[float, float]:
    """Share of correct answers and its standard error, sqrt(p (1 - p) / (n - 1))."""
    n = len(correct)
    if n == 0:
        raise ValueError("no item was scored")
    p = sum(correct) / n
    return p, math.sqrt(p * (1 - p) / (n - 1)) if n > 1 else 0.0


def macro(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Mean over tasks, each counting the same, and its error (tasks are independent)."""
    n = len(values)
    return sum(values) / n, math.sqrt(sum(error**2 for error in errors)) / n


def normalised(score: float, random_score: float, maximum: float = 1.0) -> float:
    """100 * (score - random) / (maximum - random), as in BIG-bench; below 0: worse than chance."""
    return 100 * (score - random_score) / (maximum - random_score)
