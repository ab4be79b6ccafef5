"""Difference of the scores of two models of a set, with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri

from registry.comparison.model_set import ScoredModel
from registry.comparison.paired_estimate import estimate_difference
from registry.comparison.pairing import pair_sorted_results

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class ModelDifference:
    """Score of a model minus that of another, as a share of the maximum."""

    difference: float
    low: float
    """Lower end of the interval."""
    high: float
    basis: str
    """What the interval is computed from, in words."""

    @property
    def is_decided(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def subtract(a: ScoredModel, b: ScoredModel, confidence: float = CONFIDENCE) -> ModelDifference:
    """Return the score of A minus that of B, item by item if the answers of both are stored.

    Args:
        a: a model.
        b: another model that answered the same items.
        confidence: of the interval.
    """
    if a.group.results and b.group.results:
        weights = a.scores[0].weights
        estimate = estimate_difference(
            pair_sorted_results(a.group.results, b.group.results, weights)
        )
        low, high = estimate.interval(confidence)
        return ModelDifference(
            difference=estimate.difference, low=low, high=high, basis=estimate.basis
        )
    difference = a.value - b.value
    error = math.hypot(a.scores[0].standard_error, b.scores[0].standard_error)
    half_width = float(ndtri((1 + confidence) / 2)) * error
    return ModelDifference(
        difference=difference,
        low=difference - half_width,
        high=difference + half_width,
        basis="standard errors, as answers are missing",
    )
