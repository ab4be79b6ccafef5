"""Confidence intervals of mean scores: a stratified bootstrap over evaluation items.

Shape suffixes: R resamples, M models, N items of a stratum, K distinct columns of a stratum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NUM_RESAMPLES = 10_000
"""Resamples of the paired bootstrap and of the permutation test."""


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """Items of one task, with the task's weight in an average."""

    differences: Floats
    """Score of model A minus score of model B, item by item, float [N]."""
    weight: float = 1.0

    @property
    def mean(self) -> float:
        """Mean difference."""
        return float(self.differences.mean())


def weighted_difference(strata: Sequence[Stratum]) -> float:
    """Return the weighted mean of the strata's mean differences."""
    return sum(stratum.weight * stratum.mean for stratum in strata)


def resample_means(
    strata: Sequence[tuple[Floats, float]], *, num_resamples: int, seed: int = 0
) -> Floats:
    """Bootstrap the weighted mean scores of several models on the same items.

    Items are resampled within their stratum, and each resample is the same for all models. Instead
    of N items with replacement, the number of times that each distinct column of scores occurs is
    drawn from a multinomial distribution, so the cost of a resample grows with K and not with N.

    Args:
        strata: for each task its scores, float [M, N], and its weight in the average.
        num_resamples: R.
        seed: seed of the random generator.

    Returns:
        Weighted mean scores, float [R, M].
    """
    generator = np.random.default_rng(seed)
    means_RM = np.zeros((num_resamples, len(strata[0][0])))
    for scores_MN, weight in strata:
        columns_MK, counts_K = np.unique(scores_MN, axis=1, return_counts=True)
        num_items = scores_MN.shape[1]
        drawn_RK = generator.multinomial(num_items, counts_K / num_items, size=num_resamples)
        means_RM += weight * (drawn_RK @ columns_MK.T) / num_items
    return means_RM


def bootstrap_differences(
    strata: Sequence[Stratum], seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> Floats:
    """Bootstrap the weighted mean difference of two models.

    Returns:
        Resampled differences in ascending order, float [R].
    """
    scores = [(stratum.differences[None, :], stratum.weight) for stratum in strata]
    means_RM = resample_means(scores, num_resamples=num_resamples, seed=seed)
    return np.sort(means_RM[:, 0])


def percentile_interval(resampled: Floats, confidence: float) -> tuple[float, float]:
    """Return the percentile interval of bootstrap resamples."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


def unobserved_loss_bound(differences: Floats, alpha: float) -> float:
    """Bound the share of items on which B beats A if no such item was observed.

    Resampling cannot show outcomes that did not occur: two models that fail on every item would
    seem equal with certainty.

    Args:
        differences: score of A minus score of B, float [N].
        alpha: probability of observing no such item if their share equals the bound.

    Returns:
        The exact binomial upper bound of the share; 0 if B beat A on some item.
    """
    if bool((differences < 0).any()):
        return 0.0
    return float(1 - alpha ** (1 / len(differences)))
