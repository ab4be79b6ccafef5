"""Gates of the paired comparison: better than the champion, or cheaper and not worse.

A version replaces the champion by `registry.comparison.promotion_test`; without a champion it must
be above chance and not worse than the cheapest version (`registry.comparison.first_champion`).
"""

from __future__ import annotations

from collections.abc import Sequence

from registry.comparison.first_champion import decide_first_champion
from registry.comparison.promotion_test import decide_promotion
from registry.comparison.tested_difference import PromotionRule
from registry.errors import NotComparable
from registry.gates.evidence import Evidence
from registry.gates.names import BETTER, FIRST_CHAMPION
from registry.gates.result import GateResult
from registry.policy import ComparisonRules


def check_comparison(
    candidate: Evidence,
    champion: Evidence,
    promoted: Sequence[Evidence],
    rules: ComparisonRules,
    num_earlier_tests: int,
) -> tuple[GateResult, float]:
    """Test whether a version may replace the champion.

    Args:
        candidate: the version to promote.
        champion: the present champion, evaluated on the same items.
        promoted: the versions that were champion before, evaluated on the same items.
        rules: the policy's section `comparison`.
        num_earlier_tests: other challengers that were tested against this champion.

    Returns:
        The result, and the error probability that the test used.
    """
    try:
        verdict = decide_promotion(
            candidate.results,
            champion.results,
            [other.results for other in promoted],
            _rule(rules),
            num_earlier_tests,
        )
    except NotComparable as error:
        return GateResult(name=BETTER, passed=False, detail=str(error)), 0.0
    result = GateResult(
        name=BETTER,
        passed=verdict.is_promoted,
        detail=f"{verdict.explanation}; level {verdict.alpha_used:.2g}, test "
        f"{num_earlier_tests + 1} against this champion",
        value=verdict.against_champion.low,
        limit=-rules.margin if verdict.costs.is_cheaper else 0.0,
    )
    return result, verdict.alpha_used


def check_first_champion(
    candidate: Evidence,
    baseline: Evidence | None,
    rules: ComparisonRules,
    num_earlier_tests: int,
) -> tuple[GateResult, float]:
    """Test whether a version may become the first champion of its model.

    Args:
        candidate: the version to promote.
        baseline: the cheapest version, on the same items; None if the candidate is it.
        rules: the policy's section `comparison`.
        num_earlier_tests: other versions that were tested without a champion.

    Returns:
        The result, and the error probability that the test used.
    """
    try:
        verdict = decide_first_champion(
            candidate.results,
            None if baseline is None else baseline.results,
            _rule(rules),
            num_earlier_tests,
        )
    except NotComparable as error:
        return GateResult(name=FIRST_CHAMPION, passed=False, detail=str(error)), 0.0
    result = GateResult(
        name=FIRST_CHAMPION,
        passed=verdict.is_promoted,
        detail=f"{verdict.explanation}; level {verdict.alpha_used:.2g}, test "
        f"{num_earlier_tests + 1} without a champion",
        value=verdict.against_chance.low,
        limit=0.0,
    )
    return result, verdict.alpha_used


def _rule(rules: ComparisonRules) -> PromotionRule:
    return PromotionRule(margin=rules.margin, alpha=rules.alpha, min_saving=rules.min_saving)
