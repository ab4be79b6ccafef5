"""Averages over items and tasks with their standard errors.

A suite's score is the mean over its averaging units, a unit's score the mean over its tasks, and
the overall score the mean over suites. Tasks are independent samples.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property


@dataclass(frozen=True)
class TaskAverage:
    """The mean over averaging units of the mean over each unit's tasks.

    Means and stored weights come from this one structure: `mean(values)` is the sum of
    `weights[i] * values[i]`.
    """

    units: tuple[tuple[int, ...], ...]
    """Positions of the tasks of each unit."""

    @classmethod
    def over(cls, units: Sequence[Hashable]) -> TaskAverage:
        """Build the average of tasks from the unit that each belongs to."""
        positions: dict[Hashable, list[int]] = defaultdict(list)
        for position, unit in enumerate(units):
            positions[unit].append(position)
        return cls(tuple(map(tuple, positions.values())))

    @cached_property
    def weights(self) -> list[Fraction]:
        """Share of each task in the mean; the shares sum to 1."""
        share = {
            position: Fraction(1, len(self.units) * len(positions))
            for positions in self.units
            for position in positions
        }
        return [share[position] for position in range(len(share))]

    def mean(self, values: Sequence[float]) -> float:
        """Average the values of the tasks."""
        return _mean([_mean([values[i] for i in positions]) for positions in self.units])

    def standard_error(self, errors: Sequence[float]) -> float:
        """Compute the standard error of the mean from the errors of independent tasks."""
        units = [_error_of_mean([errors[i] for i in positions]) for positions in self.units]
        return _error_of_mean(units)


def mean_and_standard_error(scores: Sequence[float]) -> tuple[float, float]:
    """Compute the mean score and its standard error, sample standard deviation / sqrt(n).

    For binary scores the standard error is sqrt(p (1 - p) / (n - 1)); for a single score it is 0.

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


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _error_of_mean(errors: Sequence[float]) -> float:
    """Compute the standard error of the mean of independent values."""
    return math.sqrt(sum(error**2 for error in errors)) / len(errors)
