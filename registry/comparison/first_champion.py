"""The first champion of a model: above chance, and not worse than the cheapest version."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from registry.comparison.alpha_spending import spent_alpha
from registry.comparison.paired_estimate import estimate_difference
from registry.comparison.pairing import pair_results, pair_with_chance
from registry.comparison.results import Evaluations, name_model
from registry.comparison.tested_difference import (
    PromotionRule,
    TestedDifference,
    measure_difference,
)


@dataclass(frozen=True, kw_only=True)
class FirstChampionVerdict:
    """Whether a version becomes the first champion, with all numbers of the decision."""

    is_promoted: bool
    against_chance: TestedDifference
    against_baseline: TestedDifference | None
    margin: float
    alpha: float
    alpha_used: float
    num_earlier_tests: int
    explanation: str

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return asdict(self)


def decide_first_champion(
    candidate: Evaluations,
    baseline: Evaluations | None,
    rule: PromotionRule,
    num_earlier_tests: int,
) -> FirstChampionVerdict:
    """Decide whether a version becomes the first champion: above chance, not worse than a baseline.

    Args:
        candidate: evaluations of the version.
        baseline: evaluations of the version with the fewest FLOPs per item, on the same items; None
            if the candidate is this version.
        rule: margin and error.
        num_earlier_tests: other versions that were tested while there was no champion.

    Raises:
        NotComparable: evaluations are of different items, prompts or settings, or a side's runs
            differ in more than their seed.
    """
    alpha_used = spent_alpha(rule.alpha, num_earlier_tests)
    chance = estimate_difference(pair_with_chance(candidate))
    against_chance = measure_difference(chance, "random answers", rule, alpha_used)
    against_baseline = None
    if baseline is not None:
        estimate = estimate_difference(pair_results(candidate, baseline))
        against_baseline = measure_difference(estimate, name_model(baseline), rule, alpha_used)
    is_above_chance = against_chance.low > 0
    is_not_worse = against_baseline is None or against_baseline.low > -rule.margin
    sentence = (
        f"{name_model(candidate)} is {'' if is_above_chance else 'not shown to be '}above chance: "
    )
    sentence += against_chance.describe()
    if against_baseline is not None:
        sentence += (
            f"; it is {'' if is_not_worse else 'not shown to be '}not worse than the cheapest "
            f"version by {100 * rule.margin:g} points: {against_baseline.describe()}"
        )
    return FirstChampionVerdict(
        is_promoted=is_above_chance and is_not_worse,
        against_chance=against_chance,
        against_baseline=against_baseline,
        margin=rule.margin,
        alpha=rule.alpha,
        alpha_used=alpha_used,
        num_earlier_tests=num_earlier_tests,
        explanation=sentence,
    )
