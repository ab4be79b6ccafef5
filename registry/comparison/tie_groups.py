"""Groups of models between which no test shows a difference: a tie has no winner."""

from __future__ import annotations

from collections.abc import Sequence

from registry.comparison.model_difference import CONFIDENCE, subtract
from registry.comparison.model_set import ScoredModel


def number_tie_groups(models: Sequence[ScoredModel]) -> list[int]:
    """Return the tie group of each model; 1 is that of the best score.

    The best model without a group opens one. Those that are not shown to differ from it belong to
    it, too. The intervals of a group are corrected for the number of models (Bonferroni), as in
    Hsu's comparisons with the best.

    Args:
        models: models that were evaluated on the same items.
    """
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(models) - 1)
    remaining = sorted(range(len(models)), key=lambda i: -models[i].value)
    groups = [0] * len(models)
    number = 0
    while remaining:
        number += 1
        best, *others = remaining
        groups[best] = number
        remaining = []
        for other in others:
            if subtract(models[best], models[other], confidence).is_decided:
                remaining.append(other)
            else:
                groups[other] = number
    return groups
