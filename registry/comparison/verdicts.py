"""Verdicts of paired comparisons, corrected for the number of comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from registry.comparison.paired_estimate import PairedEstimate, estimate_difference
from registry.comparison.paired_tests import holm, mcnemar, num_items_needed, permutation_test
from registry.comparison.variance_components import PairedSample

Verdict = Literal["better", "worse", "not worse", "undecided"]
PairedTest = Literal["mcnemar", "permutation", "t"]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One comparison of A and B: a task, or the average of a suite's tasks."""

    sample: PairedSample
    is_graded: bool
    """Whether scores are graded or averaged over tasks, instead of right or wrong."""

    @cached_property
    def test(self) -> PairedTest:
        """The exact tests where items are independent and each side has one seed.

        McNemar for right and wrong answers, permutation for graded scores and averages; else
        Student's t of the estimate.
        """
        num_seeds = max(len(self.sample.scores_a_SN), len(self.sample.scores_b_SN))
        if num_seeds > 1 or not self.sample.has_independent_items:
            return "t"
        return "permutation" if self.is_graded else "mcnemar"

    def p_value(self, estimate: PairedEstimate) -> float:
        """Compute the two-sided p value, before any correction."""
        match self.test:
            case "mcnemar":
                return mcnemar(self.sample.item_differences)
            case "permutation":
                return permutation_test(self.sample)
            case "t":
                return estimate.p_value()


@dataclass(frozen=True, kw_only=True)
class PairedOutcome:
    """Difference A minus B, its uncertainty, and the verdict about A."""

    difference: float
    low: float
    """Lower end of the interval, not corrected for the number of comparisons."""
    high: float
    test: PairedTest
    p_value: float
    p_corrected: float
    """Corrected for the number of comparisons (Holm)."""
    verdict: Verdict
    num_items_needed: int | None
    """Items that would decide an undecided task with a power of 80 %; None for several tasks or
    seeds, or another verdict."""
    decidable_difference: float | None
    """True difference that such a comparison decides with a power of 80 %, if it is undecided and
    no number of items is known to decide it; else None."""
    num_clusters: int
    basis: str
    """What the interval is computed from, in words."""

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return asdict(self)


def decide(
    *, difference: float, p_value: float, low: float, margin: float, alpha: float
) -> Verdict:
    """Decide whether A is better, worse, not worse by the margin, or undecided.

    Args:
        difference: mean score of A minus mean score of B.
        p_value: p value, corrected for the number of comparisons.
        low: lower end of the interval, corrected for the number of comparisons.
        margin: non-inferiority margin.
        alpha: significance level.
    """
    if p_value < alpha:
        return "better" if difference > 0 else "worse"
    return "not worse" if low > -margin else "undecided"


def judge(contrasts: Sequence[Contrast], *, margin: float, alpha: float) -> list[PairedOutcome]:
    """Test several contrasts and correct the verdicts for their number.

    p values are corrected with Holm's procedure, the intervals that decide "not worse" with
    Bonferroni's.

    Args:
        contrasts: the comparisons.
        margin: non-inferiority margin.
        alpha: probability of a wrong verdict among all contrasts.

    Returns:
        One outcome per contrast.
    """
    estimates = [estimate_difference(contrast.sample) for contrast in contrasts]
    p_values = [c.p_value(estimate) for c, estimate in zip(contrasts, estimates, strict=True)]
    tail = alpha / len(contrasts) / 2
    outcomes = []
    for contrast, estimate, p_value, p_corrected in zip(
        contrasts, estimates, p_values, holm(p_values), strict=True
    ):
        low, high = estimate.interval(1 - alpha)
        verdict = decide(
            difference=estimate.difference,
            p_value=p_corrected,
            low=estimate.lower_bound(tail),
            margin=margin,
            alpha=alpha,
        )
        num_items, decidable = None, None
        if verdict == "undecided":
            num_items = _num_items_needed(contrast.sample, estimate, margin=margin, alpha=2 * tail)
            decidable = estimate.decidable_difference(tail) if num_items is None else None
        outcomes.append(
            PairedOutcome(
                difference=estimate.difference,
                low=low,
                high=high,
                test=contrast.test,
                p_value=p_value,
                p_corrected=p_corrected,
                verdict=verdict,
                num_items_needed=num_items,
                decidable_difference=decidable,
                num_clusters=estimate.num_clusters,
                basis=estimate.basis,
            )
        )
    return outcomes


def _num_items_needed(
    sample: PairedSample, estimate: PairedEstimate, *, margin: float, alpha: float
) -> int | None:
    """Return the needed items of a task; None for several tasks, or several seeds."""
    differences_N = sample.item_differences
    variance = float(differences_N.var()) / max(len(differences_N) - 1, 1)
    if len(sample.weights_T) > 1 or estimate.includes_seeds or variance == 0:
        return None
    return num_items_needed(
        differences_N,
        margin=margin,
        alpha=alpha,
        design_effect=estimate.components[0].variance / variance,
    )
