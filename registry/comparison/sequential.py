"""Anytime-valid verdicts: after how many items a comparison was clear.

The items are taken in a random order, and the comparison may stop whenever a verdict is clear: the
probability of any false verdict is at most alpha over all stopping times, while a usual test that
is repeated as items arrive is wrong more often with every look. Each hypothesis has a test
martingale (Waudby-Smith and Ramdas, JRSS B 86, 2023): a gambler bets against it, cluster by
cluster, with the capital

    sum_j share_j prod_c (1 + bet_cj x_c),  x_c = sum of the cluster's weighted (difference - null),

whose expectation stays at most 1 if the true difference is at most `null`; by Ville's inequality it
ever exceeds 2 / alpha with a probability of at most alpha / 2. A share of the capital is bet for
each of several guesses of the difference; the best bet for a guess is the guess over the mean
square of x, which is estimated from the clusters before. The verdicts are about these weights:
seeds are no part of the game.

Shape suffixes: N items, C clusters in the order in which they are taken, J guesses.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from registry.comparison.variance_components import Floats, Ints, PairedSample
from registry.comparison.verdicts import Verdict

GUESSES = np.array([0.025, 0.05, 0.1, 0.3])
GUESS_SHARES = np.array([0.25, 0.45, 0.2, 0.1])
"""Guessed differences, for each of which a share of the capital is bet."""
LARGEST_BET = 0.9
"""Largest share of the capital that a cluster can lose."""


@dataclass(frozen=True, kw_only=True)
class SequentialOutcome:
    """Verdict about A, and after how many items in random order it was clear."""

    verdict: Verdict
    num_items: int
    """All items; if the verdict is undecided, they were not enough."""
    num_items_used: int
    """Items until the verdict was clear."""
    better_after: int | None
    """Items until "better" was clear; None if it never was."""
    worse_after: int | None
    not_worse_after: int | None
    low: float
    """Lower end of the confidence sequence after the used items."""
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return asdict(self)


def judge_sequentially(
    sample: PairedSample, *, margin: float, alpha: float, seed: int = 0
) -> SequentialOutcome:
    """Find after how many items each verdict was clear.

    Args:
        sample: scores of both models, which are averaged over seeds.
        margin: non-inferiority margin.
        alpha: probability of any false verdict.
        seed: seed of the order of the items.
    """
    sums_C, weights_C, sizes_C = _take_clusters(sample, seed)
    num_items_C = sizes_C.cumsum()

    def clear_after(sign: int, null: float) -> int | None:
        capital_C = _log_capital(sign * sums_C, weights_C, sign * null)
        is_clear_C = capital_C >= np.log(2 / alpha)
        return int(num_items_C[is_clear_C.argmax()]) if is_clear_C.any() else None

    better, worse = clear_after(1, 0.0), clear_after(-1, 0.0)
    not_worse = clear_after(1, -margin)
    verdict: Verdict = "undecided"
    used = int(num_items_C[-1])
    # Both can be clear one after the other, with probability alpha / 2: the first counts.
    if better is not None and (worse is None or better <= worse):
        verdict, used = "better", better
    elif worse is not None:
        verdict, used = "worse", worse
    elif not_worse is not None:
        verdict, used = "not worse", not_worse
    taken = num_items_C <= used
    return SequentialOutcome(
        verdict=verdict,
        num_items=int(num_items_C[-1]),
        num_items_used=used,
        better_after=better,
        worse_after=worse,
        not_worse_after=not_worse,
        low=-_upper_bound(-sums_C[taken], weights_C[taken], alpha),
        high=_upper_bound(sums_C[taken], weights_C[taken], alpha),
    )


def _take_clusters(sample: PairedSample, seed: int) -> tuple[Floats, Floats, Ints]:
    """Return weighted difference, weight and number of items of each cluster, in random order.

    Weights are scaled so that the largest is 1.
    """
    cluster_N = sample.layout.cluster_P[sample.layout.pair_N]
    weights_C = np.bincount(cluster_N, weights=sample.item_weights)
    sums_C = np.bincount(cluster_N, weights=sample.item_weights * sample.item_differences)
    scale = weights_C.max()
    order = np.random.default_rng(seed).permutation(len(weights_C))
    return sums_C[order] / scale, weights_C[order] / scale, np.bincount(cluster_N)[order]


def _log_capital(sums_C: Floats, weights_C: Floats, null: float) -> Floats:
    """Return the logarithm of the capital against "the difference is at most `null`", float [C]."""
    gains_C = sums_C - null * weights_C
    # What the clusters before showed; the first bets assume that a quarter of the items differ.
    seen_weights_C = 1 + np.concatenate([[0.0], weights_C[:-1]]).cumsum()
    seen_squares_C = 0.25 + np.concatenate([[0.0], gains_C[:-1] ** 2]).cumsum()
    bets_CJ = np.outer(seen_weights_C / seen_squares_C, GUESSES)
    bets_CJ = np.minimum(bets_CJ, LARGEST_BET / (1 + null))
    log_capital_CJ = np.log1p(gains_C[:, None] * bets_CJ).cumsum(0)
    return np.asarray(logsumexp(log_capital_CJ, axis=1, b=GUESS_SHARES))


def _upper_bound(sums_C: Floats, weights_C: Floats, alpha: float) -> float:
    """Return the smallest difference that the capital against "at least as large" rejects."""
    from scipy.optimize import brentq  # its import takes longer than a command of the registry

    def excess(null: float) -> float:
        return float(_log_capital(-sums_C, weights_C, -null)[-1] - np.log(2 / alpha))

    observed = float(sums_C.sum() / weights_C.sum())
    largest = 1 - 1e-9
    if observed >= largest or excess(largest) < 0:
        return 1.0
    return float(brentq(excess, observed, largest, xtol=1e-6))
