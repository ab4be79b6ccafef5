"""Promotion after an evaluation of the versions that were evaluated on other items."""

from __future__ import annotations

from collections.abc import Callable

from registry.errors import NeedsEvaluation
from registry.promotion import PromotionReport


def promote_after_evaluation(
    promote: Callable[[], PromotionReport], number: int, evaluate: Callable[[int], object]
) -> PromotionReport:
    """Promote a version; evaluate what cannot be compared with it, and decide again.

    First the versions that it is compared with are evaluated on the present data. If they still
    differ, the version itself was evaluated on earlier data.

    Args:
        promote: decides about the version.
        number: the version.
        evaluate: evaluates a version on the present evaluation data.

    Raises:
        NeedsEvaluation: the versions cannot be compared, although all were evaluated.
        NotPromoted: the version was refused.
    """
    try:
        return promote()
    except NeedsEvaluation as error:
        for other in error.report.other_items:
            evaluate(other)
    try:
        return promote()
    except NeedsEvaluation:
        evaluate(number)
    return promote()
