"""Difference of two models with an interval over items and, with several runs a side, over seeds.

Items of one cluster (passage, problem, family) are correlated, and all seeds answer the same items,
so the difference has two sources of error: the drawn clusters and the drawn seeds (crossed random
effects). Each has a variance V_k that is estimated with f_k degrees of freedom. The interval is

    difference ± sqrt(sum_k t(f_k)² V_k + u²)

with Student's quantiles t(f_k) (Banerjee, Sankhyā 22, 1960). Its coverage is at least nominal for
any ratio of the variances: with w_k the share of V_k in the variance of the difference, it is
E[G(sum_k w_k X_k)] >= sum_k w_k E[G(X_k)] = nominal, as the distribution function G of chi-square
with 1 degree of freedom is concave, and X_k = t(f_k)² chi²(f_k) / f_k is Student's interval. The
usual approximation by Satterthwaite's degrees of freedom covers less with few seeds
(benchmarks/coverage.py).

u is the effect of an outcome that no item showed. Shape suffixes: N items, T tasks, K variance
components, R draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from scipy.special import chdtri, ndtr, stdtrit

from registry.comparison.variance_components import (
    Floats,
    PairedSample,
    VarianceComponent,
    cluster_component,
    seed_components,
)

Alternative = Literal["two-sided", "greater", "less"]

POWER = 0.8
"""Power at which a difference counts as decidable."""
SMALLEST_TAIL = 1e-100


@dataclass(frozen=True, kw_only=True)
class PairedEstimate:
    """Mean score of A minus mean score of B, with its uncertainty."""

    difference: float
    score_a: float
    score_b: float
    components: tuple[VarianceComponent, ...]
    unseen_event: float
    """Effect on the difference of a cluster with an outcome that none of the observed ones has."""
    num_seeds_a: int
    num_seeds_b: int
    """0 for a constant reference."""
    num_items: int
    num_clusters: int
    max_difference: float = 1.0
    """Largest possible difference, by which bounds are limited."""

    @property
    def standard_error(self) -> float:
        """Standard error of the difference."""
        return math.sqrt(sum(component.variance for component in self.components))

    @property
    def degrees_of_freedom(self) -> float:
        """Degrees of freedom of the variance (Satterthwaite, 1946), for information only."""
        squares = sum(c.variance**2 / c.degrees_of_freedom for c in self.components)
        if squares == 0:
            return self.components[0].degrees_of_freedom
        return self.standard_error**4 / squares

    @property
    def includes_seeds(self) -> bool:
        """Whether the interval holds for other seeds, too."""
        return len(self.components) > 1

    @property
    def basis(self) -> str:
        """What the interval is computed from, in words."""
        items = f"{self.num_items:,} items"
        if self.num_clusters < self.num_items:
            items += f" in {self.num_clusters:,} clusters"
        if not self.includes_seeds:
            return f"{items} only: one seed, no interval over seeds"
        if self.num_seeds_b in (0, self.num_seeds_a):
            return f"{self.num_seeds_a} seeds and {items}"
        return f"{self.num_seeds_a} against {self.num_seeds_b} seeds and {items}"

    def half_width(self, tail: float) -> float:
        """Return the distance of a bound from the difference.

        Args:
            tail: probability that the true difference is beyond the bound.
        """
        squares = sum(
            c.variance * float(stdtrit(c.degrees_of_freedom, tail)) ** 2 for c in self.components
        )
        # Rule of three: an outcome of probability -log(tail) / n is not seen in n draws with
        # probability `tail`.
        return math.sqrt(squares + (math.log(tail) * self.unseen_event) ** 2)

    def lower_bound(self, alpha: float) -> float:
        """Return the bound that exceeds the true difference with probability `alpha`."""
        return max(-self.max_difference, self.difference - self.half_width(alpha))

    def upper_bound(self, alpha: float) -> float:
        """Return the bound that is below the true difference with probability `alpha`."""
        return min(self.max_difference, self.difference + self.half_width(alpha))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the two-sided confidence interval."""
        tail = (1 - confidence) / 2
        return self.lower_bound(tail), self.upper_bound(tail)

    def p_value(self, null: float = 0.0, alternative: Alternative = "two-sided") -> float:
        """Return the p value: the level at which a bound of the interval equals `null`.

        Args:
            null: difference under the null hypothesis.
            alternative: "greater" tests whether the difference exceeds `null`.
        """
        distance = self.difference - null
        tail = self._tail(abs(distance))
        if alternative == "two-sided":
            return min(1.0, 2 * tail)
        return tail if (alternative == "greater") == (distance > 0) else 1 - tail

    def _tail(self, distance: float) -> float:
        """Return the tail, at most 1/2, whose half width is `distance`."""
        if distance <= self.half_width(0.5):
            return 0.5
        if distance >= self.half_width(SMALLEST_TAIL):
            return SMALLEST_TAIL
        root = _root(
            lambda log_tail: self.half_width(math.exp(log_tail)) - distance,
            math.log(SMALLEST_TAIL),
            math.log(0.5),
            tolerance=1e-10,
        )
        return math.exp(root)

    def decidable_difference(self, alpha: float, power: float = POWER) -> float:
        """Return the true difference at which a new evaluation like this decides with `power`.

        It decides if its lower bound is above 0. The variances of this estimate are estimates
        themselves: the power is averaged over the true variances that they leave possible, and over
        the variances that the new evaluation then shows. Answers vary the more, the closer A's
        score comes to 1/2.

        Args:
            alpha: level of the one-sided test.
            power: probability of a decision.

        Returns:
            The difference; above `max_difference` if no possible difference is decided.
        """
        freedom_K = np.array([c.degrees_of_freedom for c in self.components])
        uniform_RK = _uniform_draws(2 * len(freedom_K))
        observed_RK = chdtri(freedom_K, uniform_RK[:, : len(freedom_K)]) / freedom_K
        repeated_RK = chdtri(freedom_K, uniform_RK[:, len(freedom_K) :]) / freedom_K
        squared_quantiles_K = stdtrit(freedom_K, alpha) ** 2
        unseen = (math.log(alpha) * self.unseen_event) ** 2

        def missing_power(difference: float) -> float:
            true_RK = self._variances_at(difference) / observed_RK
            half_R = np.sqrt(true_RK * repeated_RK @ squared_quantiles_K + unseen)
            error_R = np.sqrt(true_RK.sum(1)) + 1e-12
            return power - float(ndtr((difference - half_R) / error_R).mean())

        high = self.half_width(alpha) + 1e-9
        while missing_power(high) > 0:
            high *= 2
        return _root(missing_power, 0.0, high, tolerance=1e-7)

    def _variances_at(self, difference: float) -> Floats:
        """Return the variances of the components if A's score exceeds B's by `difference`."""
        variances_K = np.array([c.variance for c in self.components])
        largest = self.max_difference
        score = min(self.score_b + difference, largest) / largest
        observed = self.score_a / largest * (1 - self.score_a / largest)
        if observed > 0:
            variances_K[0] *= max(1.0, score * (1 - score) / observed)
        # The smallest variance of right and wrong answers with this mean difference.
        fraction = difference % 1
        variances_K[0] = max(variances_K[0], fraction * (1 - fraction) / self.num_items)
        return variances_K

    def to_dict(self, confidence: float = 0.95) -> dict[str, Any]:
        """Return the estimate as JSON values."""
        low, high = self.interval(confidence)
        return {
            "difference": self.difference,
            "standard_error": self.standard_error,
            "degrees_of_freedom": self.degrees_of_freedom,
            "confidence": confidence,
            "low": low,
            "high": high,
            "p_value": self.p_value(),
            "num_seeds_a": self.num_seeds_a,
            "num_seeds_b": self.num_seeds_b,
            "num_items": self.num_items,
            "num_clusters": self.num_clusters,
            "basis": self.basis,
        }


def _root(
    function: Callable[[float], float], low: float, high: float, *, tolerance: float
) -> float:
    """Return where the function is 0; its signs at `low` and `high` differ."""
    from scipy.optimize import brentq  # its import takes longer than a command of the registry

    return float(brentq(function, low, high, xtol=tolerance))


@cache
def _uniform_draws(num_dimensions: int) -> Floats:
    """Return 256 points that fill the unit cube evenly, always the same."""
    from scipy.stats import qmc  # its import takes longer than a command of the registry

    return np.asarray(qmc.Sobol(num_dimensions, seed=0).random_base2(8)).clip(1e-9, 1 - 1e-9)


def estimate_difference(sample: PairedSample) -> PairedEstimate:
    """Estimate the weighted mean difference of A and B."""
    differences_N = sample.item_differences
    item_weights_N = sample.item_weights
    items, unseen_event = cluster_component(sample)
    return PairedEstimate(
        difference=float(item_weights_N @ differences_N),
        score_a=float(item_weights_N @ sample.scores_a_SN.mean(0)),
        score_b=float(item_weights_N @ sample.scores_b_SN.mean(0)),
        components=(items, *seed_components(sample, item_weights_N)),
        unseen_event=unseen_event,
        num_seeds_a=len(sample.seeds_a),
        num_seeds_b=len(sample.seeds_b),
        num_items=len(differences_N),
        num_clusters=len(np.unique(sample.cluster_N)),
        max_difference=sample.max_difference,
    )
