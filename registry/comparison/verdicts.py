"""Verdicts of paired comparisons, corrected for the number of comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from registry.comparison.intervals import (
    Stratum,
    bootstrap_differences,
    percentile_interval,
    unobserved_loss_bound,
    weighted_difference,
)
from registry.comparison.paired_tests import holm, mcnemar, num_items_needed, permutation_test

Verdict = Literal["better", "worse", "not worse", "undecided"]
PairedTest = Literal["mcnemar", "permutation"]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One comparison of A and B: a task, or the average of a suite's tasks."""

    strata: tuple[Stratum, ...]
    test: PairedTest
    """McNemar for right and wrong answers, permutation for graded scores and averages."""

    def p_value(self) -> float:
        """Compute the two-sided p value, before any correction."""
        if self.test == "mcnemar":
            return mcnemar(self.strata[0].differences)
        return permutation_test(self.strata)


@dataclass(frozen=True, kw_only=True)
class PairedOutcome:
    """Difference A minus B, its uncertainty, and the verdict about A."""

    difference: float
    low: float
    """Lower end of the bootstrap interval, not corrected for the number of comparisons."""
    high: float
    test: PairedTest
    p_value: float
    p_corrected: float
    """Corrected for the number of comparisons (Holm)."""
    verdict: Verdict
    num_items_needed: int | None
    """Items that would decide an undecided task with a power of 80 %; else None."""

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
    p_values = [contrast.p_value() for contrast in contrasts]
    corrected_alpha = alpha / len(contrasts)
    outcomes = []
    for contrast, p_value, p_corrected in zip(contrasts, p_values, holm(p_values), strict=True):
        strata = contrast.strata
        difference = weighted_difference(strata)
        resampled = bootstrap_differences(strata)
        low, high = percentile_interval(resampled, 1 - alpha)
        corrected_low = percentile_interval(resampled, 1 - corrected_alpha)[0]
        if len(strata) == 1:
            bound = unobserved_loss_bound(strata[0].differences, corrected_alpha / 2)
            corrected_low = min(corrected_low, -bound)
        verdict = decide(
            difference=difference,
            p_value=p_corrected,
            low=corrected_low,
            margin=margin,
            alpha=alpha,
        )
        needed = None
        if verdict == "undecided" and len(strata) == 1:
            needed = num_items_needed(strata[0].differences, margin=margin, alpha=corrected_alpha)
        outcomes.append(
            PairedOutcome(
                difference=difference,
                low=low,
                high=high,
                test=contrast.test,
                p_value=p_value,
                p_corrected=p_corrected,
                verdict=verdict,
                num_items_needed=needed,
            )
        )
    return outcomes
