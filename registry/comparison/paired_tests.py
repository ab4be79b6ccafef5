"""Two models on the same items: how large is the difference, and could it be chance?

All of it on paired differences, A minus B: what both get right or wrong alike says nothing about
which is better (Dror et al., The Hitchhiker's Guide to Testing Statistical Significance in NLP,
ACL 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, norm

Floats = npt.NDArray[np.float64]

RESAMPLES = 10_000
POWER = 0.8
"""Probability with which the number of items that is asked for would show a true difference."""

Verdict = Literal["better", "worse", "not worse", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """Items whose differences are averaged with one weight: a task within an average."""

    differences: Floats
    """Score of A minus score of B, item by item."""
    weight: float = 1.0

    @property
    def mean(self) -> float:
        return float(self.differences.mean())

    def counted(self) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Its distinct differences and how often each occurs."""
        values, counts = np.unique(self.differences, return_counts=True)
        return values, counts.astype(np.int64)


def difference(strata: Sequence[Stratum]) -> float:
    """The weighted mean of the strata's means."""
    return sum(stratum.weight * stratum.mean for stratum in strata)


def bootstrap(strata: Sequence[Stratum], seed: int = 0, resamples: int = RESAMPLES) -> Floats:
    """Differences of `resamples` resamples, sorted; items are drawn within their stratum.

    Drawing n items with replacement is drawing how often each distinct difference occurs, a
    multinomial, so a resample costs no more than there are distinct differences.
    """
    generator = np.random.default_rng(seed)
    total = np.zeros(resamples)
    for stratum in strata:
        values, counts = stratum.counted()
        n = int(counts.sum())
        drawn = generator.multinomial(n, counts / n, size=resamples)
        total += stratum.weight * (drawn @ values) / n
    return np.sort(total)


def interval(resampled: Floats, confidence: float) -> tuple[float, float]:
    """The percentile interval of sorted resamples."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


def unseen_loss(differences: Floats, alpha: float) -> float:
    """Where B beat A on no item: the largest share of items on which it may all the same, as in n
    items none would be seen with probability `alpha`. Else 0.

    Resampling what was seen cannot show what was not: two models that both fail everywhere would
    seem equal beyond doubt.
    """
    if bool((differences < 0).any()):
        return 0.0
    return float(1 - alpha ** (1 / len(differences)))


def mcnemar(differences: Floats) -> float:
    """Exact McNemar test on right and wrong: are the items that only one gets right divided as by
    a coin? (McNemar, 1947.) Two-sided p; 1 where both agree on every item."""
    only_a, only_b = int((differences > 0).sum()), int((differences < 0).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue)


def permutation(strata: Sequence[Stratum], seed: int = 0, resamples: int = RESAMPLES) -> float:
    """Two-sided p of the difference if A and B could be swapped at each item.

    Swapping flips the sign of an item's difference. Of the c items with one absolute difference v
    a binomial number is flipped, so v * (2 * Binomial(c, 1/2) - c) is what they add up to.
    """
    generator = np.random.default_rng(seed)
    total = np.zeros(resamples)
    for stratum in strata:
        sizes, counts = np.unique(np.abs(stratum.differences), return_counts=True)
        flipped = 2 * generator.binomial(counts, 0.5, size=(resamples, len(counts))) - counts
        total += stratum.weight * (flipped @ sizes) / len(stratum.differences)
    # What is as far out as the observed one counts, whatever the rounding of sums.
    extreme = int((np.abs(total) >= abs(difference(strata)) - 1e-12).sum())
    return (1 + extreme) / (1 + resamples)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number: Holm's step-down procedure (1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def verdict(
    *, difference: float, p_value: float, low: float, margin: float, alpha: float
) -> Verdict:
    """What may be said of A. `p_value` and `low`, the lower end of the interval, are corrected for
    the number of comparisons."""
    if p_value < alpha:
        return "better" if difference > 0 else "worse"
    return "not worse" if low > -margin else "undecided"


def items_needed(
    differences: Floats, *, margin: float, alpha: float, power: float = POWER
) -> int | None:
    """Items with which a difference like this one would be decided with probability `power`.

    Decided is: shown to be a difference (Connor, Biometrics 1987, for right and wrong), or shown to
    be no worse than `margin`, whichever takes fewer. None where no number would do: A is worse by
    just the margin, or the two never differ on an item.
    """
    mean, spread = float(differences.mean()), float(differences.std())
    if spread == 0:
        return None
    reach = float(norm.ppf(power))
    needed = []
    if mean != 0:
        # Without a difference the spread would be the root mean square.
        null = math.sqrt(spread**2 + mean**2)
        needed.append(((float(norm.ppf(1 - alpha / 2)) * null + reach * spread) / mean) ** 2)
    if mean > -margin:
        needed.append(((float(norm.ppf(1 - alpha / 2)) + reach) * spread / (mean + margin)) ** 2)
    return math.ceil(min(needed)) if needed else None
