"""Gate of the suites: no suite may lose more accuracy than the policy allows.

The gate refuses a version if the paired test of a suite rejects "the loss is at most the allowed
one", corrected for the number of suites (Holm). It controls the probability of refusing a version
that loses no more than allowed in every suite: at most `comparison.alpha`. The opposite choice, to
promote only what is shown to be not worse in every suite, would refuse nearly every version, as a
suite has too few items for that; the gate says instead how large a loss it would detect.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.comparison.paired_estimate import PairedEstimate, estimate_difference
from registry.comparison.paired_tests import holm
from registry.comparison.pairing import pair_results
from registry.gates.evidence import Evidence
from registry.gates.names import NO_SUITE_WORSE
from registry.gates.result import GateResult
from registry.policy import ComparisonRules


@dataclass(frozen=True, kw_only=True)
class _SuiteLoss:
    suite: str
    allowed: float
    estimate: PairedEstimate
    """Accuracy of the candidate minus accuracy of the champion."""

    @property
    def p_value(self) -> float:
        """p value of the hypothesis that the loss is at most the allowed one."""
        return self.estimate.p_value(null=-self.allowed, alternative="less")

    @property
    def excess(self) -> float:
        """How far the observed loss is beyond the allowed one."""
        return -self.estimate.difference - self.allowed


def check_suites(candidate: Evidence, champion: Evidence, rules: ComparisonRules) -> GateResult:
    """Check the loss of accuracy in every suite.

    Args:
        candidate: the version to promote.
        champion: the present champion, evaluated on the same items.
        rules: the policy's section `comparison`.

    Raises:
        NotComparable: prompts or settings of the evaluations differ.
    """
    losses = [
        _estimate_loss(candidate, champion, suite, rules) for suite in candidate.result.suites
    ]
    p_values = holm([loss.p_value for loss in losses])
    p_value, worst = min(zip(p_values, losses, strict=True), key=lambda pair: _order(*pair))
    estimate = worst.estimate
    low, high = estimate.interval()
    detectable = worst.allowed + estimate.decidable_difference(rules.alpha / len(losses))
    return GateResult(
        name=NO_SUITE_WORSE,
        passed=p_value >= rules.alpha,
        detail=f"{worst.suite}, the worst of {len(losses)} suites: "
        f"{100 * estimate.difference:+.1f} points against {champion.label} (95 % interval "
        f"{100 * low:+.1f} … {100 * high:+.1f}; {estimate.basis}); a loss of more than "
        f"{100 * worst.allowed:g} points is refused if it is shown (p = {p_value:.3g}, limit "
        f"{rules.alpha:g}); a loss of {100 * detectable:.1f} points is shown in 80 % of cases",
        value=-estimate.difference,
        limit=worst.allowed,
    )


def _order(p_value: float, loss: _SuiteLoss) -> tuple[float, float]:
    """Order suites by p value; several that are equal after the correction by their loss."""
    return p_value, -loss.excess


def _estimate_loss(
    candidate: Evidence, champion: Evidence, suite: str, rules: ComparisonRules
) -> _SuiteLoss:
    weights = {
        task.task: task.weight_in_suite
        for task in candidate.evaluation.tasks
        if task.suite == suite
    }
    sample = pair_results(candidate.results, champion.results, weights=weights)
    return _SuiteLoss(
        suite=suite,
        allowed=rules.max_suite_loss_by_suite.get(suite, rules.max_suite_loss),
        estimate=estimate_difference(sample),
    )
