"""The dense partner of an MoE model: the dense model that was trained by the same recipe.

Any other dense model differs in more than its experts, so a difference in accuracy would not show
what the experts gain. Models with several seeds are compared over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.comparison.paired_estimate import estimate_difference
from registry.comparison.pairing import pair_sorted_results
from registry.comparison.recipe import recipe_differences
from registry.comparison.replicates import ReplicateGroup

if TYPE_CHECKING:
    from registry.comparison.frontier import FrontierPoint

EQUAL_COST_FACTOR = 1.1
"""Costs within this factor count as equal."""
CONFIDENCE = 0.95
NORMAL_QUANTILE = 1.96


@dataclass(frozen=True, kw_only=True)
class DensePartner:
    """An MoE version and the dense version of the same recipe that is closest in cost."""

    moe: str
    moe_version: int
    dense: str
    dense_version: int
    cost_ratio: float
    """Cost of the MoE relative to the dense version."""
    equal_cost: bool
    """Whether the costs are within EQUAL_COST_FACTOR."""
    difference: float
    """Accuracy of the MoE minus accuracy of the dense version."""
    low: float
    """Lower end of the 95 % interval of the difference."""
    high: float
    basis: str
    """What the interval is computed from, in words."""


def find_dense_partners(
    points: Sequence[FrontierPoint], groups: Sequence[ReplicateGroup]
) -> tuple[tuple[DensePartner, ...], tuple[str, ...]]:
    """Find the dense partner of each MoE model.

    Args:
        points: models of the frontier.
        groups: the versions of each point.

    Returns:
        The partners, and the MoE models that have none, such as "moe v3".
    """
    partners, without_partner = [], []
    for i, moe in enumerate(points):
        if moe.kind != "MoE":
            continue
        j = find_dense_partner(i, groups, [point.cost for point in points])
        if j is None:
            without_partner.append(f"{moe.name} v{moe.version}")
            continue
        ratio = moe.cost / points[j].cost
        low, high, basis = _interval(points[i], points[j], groups[i], groups[j])
        partners.append(
            DensePartner(
                moe=moe.name,
                moe_version=moe.version,
                dense=points[j].name,
                dense_version=points[j].version,
                cost_ratio=ratio,
                equal_cost=1 / EQUAL_COST_FACTOR <= ratio <= EQUAL_COST_FACTOR,
                difference=moe.accuracy - points[j].accuracy,
                low=low,
                high=high,
                basis=basis,
            )
        )
    return tuple(partners), tuple(without_partner)


def find_dense_partner(
    moe: int, groups: Sequence[ReplicateGroup], costs: Sequence[float]
) -> int | None:
    """Return the index of an MoE model's dense partner.

    Args:
        moe: index of the MoE model in `groups`.
        groups: versions of models that were evaluated on the same items.
        costs: the cost of each model, in any unit.

    Returns:
        The index of the dense model of the same recipe that is closest in cost; None without one.
    """
    dense = [
        j
        for j, group in enumerate(groups)
        if not group.newest.run_record.is_moe and _have_same_recipe(groups[moe], group)
    ]
    return min(dense, key=lambda j: abs(math.log(costs[j] / costs[moe])), default=None)


def _have_same_recipe(a: ReplicateGroup, b: ReplicateGroup) -> bool:
    """Return whether two models have the same recipe, seeds included if each has only one."""
    has_replicates = max(len(a.versions), len(b.versions)) > 1
    runs = a.newest.run_record, b.newest.run_record
    return not recipe_differences(*runs, ignore_seeds=has_replicates)


def _interval(
    moe: FrontierPoint, dense: FrontierPoint, moe_group: ReplicateGroup, dense_group: ReplicateGroup
) -> tuple[float, float, str]:
    """Return the interval of the difference, and what it is computed from."""
    if moe_group.results and dense_group.results:
        sample = pair_sorted_results(moe_group.results, dense_group.results)
        estimate = estimate_difference(sample)
        return *estimate.interval(CONFIDENCE), estimate.basis
    difference = moe.accuracy - dense.accuracy
    half_width = NORMAL_QUANTILE * math.hypot(moe.standard_error, dense.standard_error)
    return (
        difference - half_width,
        difference + half_width,
        "standard errors, as answers are missing",
    )
