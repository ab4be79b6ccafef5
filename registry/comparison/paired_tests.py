"""Paired significance tests of two models on the same items.

All of them use the differences A minus B item by item: items that both models get right, or both
wrong, carry no information about which model is better (Dror et al., The Hitchhiker's Guide to
Testing Statistical Significance in NLP, ACL 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr, ndtri

from registry.comparison.paired_estimate import POWER
from registry.comparison.variance_components import Floats, PairedSample

NUM_RESAMPLES = 10_000
"""Random permutations of the permutation test."""


def mcnemar(differences: Floats) -> float:
    """Compute the p value of the exact McNemar test for right and wrong answers (McNemar, 1947).

    Args:
        differences: score of A minus score of B, -1, 0 or 1, float [N].

    Returns:
        Two-sided p value; 1 if the models agree on every item.
    """
    num_a_only, num_b_only = int((differences > 0).sum()), int((differences < 0).sum())
    if num_a_only + num_b_only == 0:
        return 1.0
    # At 1/2 the distribution is symmetric, so the two-sided p value is twice one tail.
    num_fewer, num_more = sorted((num_a_only, num_b_only))
    return min(1.0, 2 * float(bdtr(num_fewer, num_fewer + num_more, 0.5)))


def permutation_test(
    sample: PairedSample, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> float:
    """Compute the p value of the weighted difference under random swaps of A and B.

    A swap flips the sign of an item's effect on the average. Of the c items with one absolute
    effect v a binomial number is flipped, so their sum is v * (2 * Binomial(c, 1/2) - c).

    Args:
        sample: independent items with one seed a side.
        seed: seed of the random generator.
        num_resamples: number of random permutations.

    Returns:
        Two-sided p value.
    """
    effects_N = sample.item_weights * sample.item_differences
    observed = float(effects_N.sum())
    # Rounded, so that tasks of equal weight and size share their effects.
    sizes, counts = np.unique(np.abs(effects_N).round(15), return_counts=True)
    counts = np.where(sizes > 0, counts, 0)
    generator = np.random.default_rng(seed)
    signed_counts = 2 * generator.binomial(counts, 0.5, size=(num_resamples, len(counts))) - counts
    total = signed_counts @ sizes
    # The tolerance counts permutations that equal the observed difference up to rounding.
    num_extreme = int((np.abs(total) >= abs(observed) - 1e-12).sum())
    return (1 + num_extreme) / (1 + num_resamples)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for multiple comparisons with Holm's step-down procedure (1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def num_items_needed(
    differences: Floats,
    *,
    margin: float,
    alpha: float,
    power: float = POWER,
    design_effect: float = 1.0,
) -> int | None:
    """Compute how many items decide a difference like the observed one.

    A difference is decided if it is significant (for right and wrong answers: Connor, Biometrics
    1987) or if A is shown to be not worse by the margin, whichever needs fewer items.

    Args:
        differences: score of A minus score of B, float [N].
        margin: non-inferiority margin.
        alpha: two-sided significance level.
        power: probability of a decision.
        design_effect: variance of the mean of these items, relative to that of independent items.

    Returns:
        The number of items; None if it cannot be computed: all differences are equal, or both the
        mean difference and the margin are 0.
    """
    mean, std = float(differences.mean()), float(differences.std())
    if std == 0:
        return None
    power_quantile = float(ndtri(power))
    needed = []
    if mean != 0:
        # Under the null hypothesis the standard deviation is the root mean square.
        null_std = math.sqrt(std**2 + mean**2)
        needed.append(((float(ndtri(1 - alpha / 2)) * null_std + power_quantile * std) / mean) ** 2)
    if mean > -margin:
        needed.append(((float(ndtri(1 - alpha / 2)) + power_quantile) * std / (mean + margin)) ** 2)
    return math.ceil(design_effect * min(needed)) if needed else None
