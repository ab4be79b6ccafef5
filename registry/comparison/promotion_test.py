"""The promotion decision: whether a challenger replaces the champion, from records only.

A challenger is promoted if it is better, or cheaper and not worse by the margin. Both need a lower
bound at the level of `alpha_spending`, against the champion and against every version that was
promoted before, so that losses within the margin cannot add up. "Undecided" never promotes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from registry.comparison.alpha_spending import spent_alpha
from registry.comparison.paired_estimate import PairedEstimate, estimate_difference
from registry.comparison.pairing import pair_results
from registry.comparison.results import Evaluations, name_model
from registry.comparison.tested_difference import (
    PromotionRule,
    TestedDifference,
    measure_difference,
)

NamedEstimate = tuple[str, PairedEstimate]
PromotionOutcome = Literal["better", "cheaper and not worse", "worse", "undecided"]

SAME_COST = 1.001
"""Costs within this factor are equal up to rounding."""


@dataclass(frozen=True, kw_only=True)
class CostRatios:
    """Cost of the challenger relative to the champion's."""

    flops_per_item: float
    total_parameters: float
    is_cheaper: bool
    """Fewer FLOPs per item by `min_saving`; or no more FLOPs per item, and fewer parameters by
    `min_saving`."""


@dataclass(frozen=True, kw_only=True)
class PromotionVerdict:
    """Whether the challenger replaces the champion, with all numbers of the decision."""

    verdict: PromotionOutcome
    against_champion: TestedDifference
    against_promoted: TestedDifference | None
    """Against the version, of those promoted before, with the lowest lower bound; None without
    any but the champion."""
    costs: CostRatios
    margin: float
    alpha: float
    alpha_used: float
    num_earlier_tests: int
    explanation: str
    """The decision in a sentence."""

    @property
    def is_promoted(self) -> bool:
        """Whether the challenger replaces the champion."""
        return self.verdict in ("better", "cheaper and not worse")

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return asdict(self)


def decide_promotion(
    challenger: Evaluations,
    champion: Evaluations,
    promoted: Sequence[Evaluations],
    rule: PromotionRule,
    num_earlier_tests: int,
) -> PromotionVerdict:
    """Decide whether a challenger replaces the champion.

    Args:
        challenger: evaluations of the challenger.
        champion: evaluations of the champion, on the same items.
        promoted: evaluations of each version that was promoted before and not withdrawn by a
            person, on the same items; the champion may be among them.
        rule: margin, error and smallest saving.
        num_earlier_tests: other challengers that were tested against this champion. To decide again
            on evaluations that were tested before, pass the number of the first time: it spends
            nothing, and the verdict is the same.

    Raises:
        NotComparable: evaluations are of different items, prompts or settings, or a side's runs
            differ in more than their seed.
    """
    opponents = [other for other in promoted if _evidence(other) != _evidence(champion)]
    return judge_promotion(
        name_model(challenger),
        (name_model(champion), estimate_difference(pair_results(challenger, champion))),
        [
            (name_model(other), estimate_difference(pair_results(challenger, other)))
            for other in opponents
        ],
        cost_ratios(challenger, champion, rule),
        rule,
        num_earlier_tests,
    )


def judge_promotion(
    challenger: str,
    champion: NamedEstimate,
    promoted: Sequence[NamedEstimate],
    costs: CostRatios,
    rule: PromotionRule,
    num_earlier_tests: int,
) -> PromotionVerdict:
    """Apply the rule to estimated differences.

    Args:
        challenger: name of the challenger.
        champion: the champion's name, and the challenger's accuracy minus the champion's.
        promoted: the same for each other version that was promoted before.
        costs: cost of the challenger relative to the champion's.
        rule: margin, error and smallest saving.
        num_earlier_tests: other challengers that were tested against this champion.
    """
    alpha_used = spent_alpha(rule.alpha, num_earlier_tests)
    against_champion, *others = (
        measure_difference(estimate, name, rule, alpha_used)
        for name, estimate in (champion, *promoted)
    )
    against_promoted = min(others, key=lambda other: other.low, default=None)
    is_not_worse = all(test.low > -rule.margin for test in (against_champion, *others))
    verdict: PromotionOutcome = "undecided"
    if is_not_worse and against_champion.low > 0:
        verdict = "better"
    elif is_not_worse and costs.is_cheaper:
        verdict = "cheaper and not worse"
    elif against_champion.high < 0:
        verdict = "worse"
    return PromotionVerdict(
        verdict=verdict,
        against_champion=against_champion,
        against_promoted=against_promoted,
        costs=costs,
        margin=rule.margin,
        alpha=rule.alpha,
        alpha_used=alpha_used,
        num_earlier_tests=num_earlier_tests,
        explanation=f"{challenger} "
        + _explain(verdict, against_champion, against_promoted, costs, rule.margin),
    )


def cost_ratios(challenger: Evaluations, champion: Evaluations, rule: PromotionRule) -> CostRatios:
    """Compare the FLOPs per item, averaged over seeds, and the parameters of two models."""
    flops, champion_flops = (
        sum(result.evaluation.flops_per_item for result in results) / len(results)
        for results in (challenger, champion)
    )
    flops_ratio = flops / champion_flops
    parameters_ratio = challenger[0].run.total_parameters / champion[0].run.total_parameters
    largest_ratio = 1 - rule.min_saving
    return CostRatios(
        flops_per_item=flops_ratio,
        total_parameters=parameters_ratio,
        is_cheaper=flops_ratio <= largest_ratio
        or (flops_ratio <= SAME_COST and parameters_ratio <= largest_ratio),
    )


def _evidence(results: Evaluations) -> list[str]:
    return sorted(result.evaluation.samples_sha256 for result in results)


def _explain(
    verdict: PromotionOutcome,
    champion: TestedDifference,
    promoted: TestedDifference | None,
    costs: CostRatios,
    margin: float,
) -> str:
    """Return the decision in a sentence without its subject."""
    points = f"{100 * margin:g} points"
    cost = (
        f"{costs.flops_per_item:.3g} times the FLOPs per item, {costs.total_parameters:.3g} times "
        "the parameters"
    )
    match verdict:
        case "better":
            return f"is better: {champion.describe()}"
        case "cheaper and not worse":
            return f"is cheaper ({cost}) and not worse by {points}: {champion.describe()}"
        case "worse":
            return f"is worse: {champion.describe()}"
    if champion.low <= -margin:
        gain = champion.decidable_difference
        needed = (
            f"a true gain of {100 * gain:.1f} points is decided with a probability of 80 %"
            if gain <= 1
            else "no gain is decided at this level with so few seeds"
        )
        return f"is undecided: {champion.describe()}; {needed}"
    relation = "better" if champion.low > 0 else f"not worse by {points}"
    reason = (
        f"it is not shown to be within {points} of a version promoted before: {promoted.describe()}"
        if promoted is not None and promoted.low <= -margin
        else f"it is not cheaper ({cost})"
    )
    return f"is {relation}, {champion.describe()}, but undecided: {reason}"
