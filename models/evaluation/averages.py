"""Averages over items and tasks with their standard errors.

A suite's score is the mean over its averaging units, a unit's score the mean over its tasks, and
the overall score the mean over suites. Tasks are independent samples.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction


def task_weights(units: Sequence[tuple[str, str]]) -> list[Fraction]:
    """Compute the share of each task in the overall score.

    Suites count the same, so do the units of a suite and the tasks of a unit.

    Args:
        units: (suite, averaging unit) of each task.

    Returns:
        One weight per task; the weights sum to 1.
    """
    num_tasks = Counter(units)
    num_units = Counter(suite for suite, _ in num_tasks)
    return [
        Fraction(1, len(num_units) * num_units[suite] * num_tasks[suite, unit])
        for suite, unit in units
    ]


def weighted_mean(values: Sequence[float], weights: Sequence[Fraction]) -> float:
    """Compute sum(w x) / sum(w); equal weights give the plain mean, bit for bit."""
    multiples = _integer_multiples(weights)
    total = sum(k * value for k, value in zip(multiples, values, strict=True))
    return total / sum(multiples)


def weighted_standard_error(errors: Sequence[float], weights: Sequence[Fraction]) -> float:
    """Compute the standard error of a weighted mean of independent values."""
    multiples = _integer_multiples(weights)
    squares = ((k * error) ** 2 for k, error in zip(multiples, errors, strict=True))
    return math.sqrt(sum(squares)) / sum(multiples)


def mean_and_standard_error(scores: Sequence[float]) -> tuple[float, float]:
    """Compute the mean score and its standard error, the sample's deviation over the root of n.

    For binary scores the standard error is sqrt(p (1 - p) / (n - 1)).

    Raises:
        ValueError: there is no score.
    """
    n = len(scores)
    if n == 0:
        raise ValueError("the mean of no scores is undefined; expected at least one item")
    mean = sum(scores) / n
    if n == 1:
        return mean, 0.0
    variance = sum((score - mean) ** 2 for score in scores) / (n - 1)
    return mean, math.sqrt(variance / n)


def normalised_score(score: float, random_score: float, maximum: float = 1.0) -> float:
    """Compute 100 * (score - random) / (maximum - random), as in BIG-bench.

    Negative values are worse than a random guess.
    """
    return 100 * (score - random_score) / (maximum - random_score)


def _integer_multiples(weights: Sequence[Fraction]) -> list[int]:
    """Return the smallest integers in the ratio of the weights."""
    denominator = math.lcm(*(weight.denominator for weight in weights))
    multiples = [int(weight * denominator) for weight in weights]
    divisor = math.gcd(*multiples)
    return [multiple // divisor for multiple in multiples]
