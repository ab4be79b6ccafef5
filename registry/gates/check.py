"""All promotion gates of a version, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from registry.gates.comparison import check_comparison, check_first_champion
from registry.gates.cost import check_cost
from registry.gates.data import check_data
from registry.gates.evaluation import check_evaluation, check_items, check_precision
from registry.gates.evidence import Evidence
from registry.gates.integrity import check_compared, check_integrity
from registry.gates.names import CHAMPION_READABLE, SAME_ITEMS, SAME_ITEMS_AS_PROMOTED
from registry.gates.result import GateOutcome, GateReport, GateResult, decide
from registry.gates.router import check_router
from registry.gates.suites import check_suites
from registry.policy import Policy


def check_gates(
    candidate: Evidence,
    champion: Evidence | None,
    policy: Policy,
    *,
    promoted: Sequence[Evidence] = (),
    baseline: Evidence | None = None,
    num_earlier_tests: int = 0,
    is_champion: bool = False,
) -> GateReport:
    """Check every gate, also after one has failed: the list is the evidence of a decision.

    Args:
        candidate: the version to promote.
        champion: the present champion; None without one.
        policy: the promotion rules of the model.
        promoted: versions that were champion before, and that nobody withdrew.
        baseline: without a champion: the cheapest version on the same items; None if that is the
            candidate.
        num_earlier_tests: comparisons of other versions with the same champion, or without one.
        is_champion: whether the candidate is the champion already: it is compared with nothing.
    """
    results = [
        *check_integrity(candidate, policy.code),
        *check_data(candidate, policy.data),
        *check_evaluation(candidate, policy.evaluation),
        *check_cost(candidate, policy.budgets),
        *check_router(candidate, policy.router, policy.data),
    ]
    alpha_used = 0.0
    other_items: tuple[int, ...] = ()
    if champion is not None:
        readable = [other for other in promoted if other.result.item_scores]
        results += [
            check_compared(champion),
            check_precision(candidate, champion, policy.evaluation),
        ]
        if candidate.result.item_scores and champion.result.item_scores:
            item_sets, other_items = _check_item_sets(candidate, champion, readable)
            results += item_sets
        if _can_compare(results):
            results.append(check_suites(candidate, champion, policy.comparison))
            result, alpha_used = check_comparison(
                candidate, champion, readable, policy.comparison, num_earlier_tests
            )
            results.append(result)
    elif candidate.result.item_scores and not is_champion:
        result, alpha_used = check_first_champion(
            candidate, baseline, policy.comparison, num_earlier_tests
        )
        results.append(result)
    outcome = decide(results)
    # A version that is refused anyway is not promoted by chance: its comparison spends nothing.
    is_test = outcome in (GateOutcome.PROMOTED, GateOutcome.UNCHANGED)
    return GateReport(
        outcome=outcome,
        results=tuple(results),
        alpha_spent=alpha_used if is_test else 0.0,
        other_items=other_items,
    )


def _check_item_sets(
    candidate: Evidence, champion: Evidence, promoted: Sequence[Evidence]
) -> tuple[list[GateResult], tuple[int, ...]]:
    """Compare the items with those of the champion, and of every version that was champion.

    Returns:
        The results, and the versions that were evaluated on other items.
    """
    own = check_items(SAME_ITEMS, candidate, champion)
    others = [(check_items(SAME_ITEMS_AS_PROMOTED, candidate, e), e.version) for e in promoted]
    failed = [(result, number) for result, number in others if not result.passed]
    results = [own, *(result for result, _ in (failed or others)[:1])]
    numbers = [champion.version] if not own.passed else []
    return results, (*numbers, *(number for _, number in failed))


def _can_compare(results: Sequence[GateResult]) -> bool:
    """Return whether the item scores of all versions are present and of the same items."""
    needed = (SAME_ITEMS, SAME_ITEMS_AS_PROMOTED, CHAMPION_READABLE)
    passed = {result.name: result.passed for result in results if result.name in needed}
    return SAME_ITEMS in passed and all(passed.values())
