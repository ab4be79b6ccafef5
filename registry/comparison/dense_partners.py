"""The dense partner of an MoE model: the dense model that was trained by the same recipe.

Any other dense model differs in more than its experts, so a difference in accuracy would not show
what the experts gain. Models with several seeds are compared over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registry.comparison.model_difference import subtract
from registry.comparison.model_set import ScoredModel
from registry.comparison.recipe import recipe_differences
from registry.comparison.replicates import ReplicateGroup
from registry.comparison.version_costs import COSTS, mean_cost

EQUAL_COST_FACTOR = 1.1
"""Costs within this factor count as equal."""


@dataclass(frozen=True, kw_only=True)
class DensePartner:
    """An MoE version and the dense version of the same recipe that is closest in cost."""

    moe: str
    moe_version: int
    dense: str
    dense_version: int
    cost_ratio: float
    """Cost of the MoE relative to the dense version."""
    cost_ratios: Mapping[str, float | None]
    """The same for each of COSTS; None where a cost is unknown, or the times do not compare."""
    equal_cost: bool
    """Whether the costs are within EQUAL_COST_FACTOR."""
    difference: float
    """Score of the MoE minus score of the dense version."""
    low: float
    """Lower end of the 95 % interval of the difference."""
    high: float
    basis: str
    """What the interval is computed from, in words."""


def find_dense_partners(
    models: Sequence[ScoredModel], costs: Sequence[float]
) -> tuple[tuple[DensePartner, ...], tuple[str, ...]]:
    """Find the dense partner of each MoE model.

    Args:
        models: the models.
        costs: the cost of each.

    Returns:
        The partners, and the MoE models that have none, such as "moe v3".
    """
    partners, without_partner = [], []
    for i, moe in enumerate(models):
        if moe.group.newest.kind != "MoE":
            continue
        j = find_dense_partner(i, [model.group for model in models], costs)
        if j is None:
            without_partner.append(f"{moe.group.newest.name} v{moe.group.newest.version}")
            continue
        ratio = costs[i] / costs[j]
        difference = subtract(moe, models[j])
        partners.append(
            DensePartner(
                moe=moe.group.newest.name,
                moe_version=moe.group.newest.version,
                dense=models[j].group.newest.name,
                dense_version=models[j].group.newest.version,
                cost_ratio=ratio,
                cost_ratios=cost_ratios(moe.group, models[j].group),
                equal_cost=1 / EQUAL_COST_FACTOR <= ratio <= EQUAL_COST_FACTOR,
                difference=difference.difference,
                low=difference.low,
                high=difference.high,
                basis=difference.basis,
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


def cost_ratios(a: ReplicateGroup, b: ReplicateGroup) -> dict[str, float | None]:
    """Return the costs of A relative to those of B, averaged over seeds; None: not comparable."""
    speeds = [version.speed for version in (*a.versions, *b.versions)]
    is_timed_alike = len({speed and speed.conditions for speed in speeds}) == 1
    ratios: dict[str, float | None] = {}
    for cost in COSTS:
        cost_a, cost_b = mean_cost(a.versions, cost), mean_cost(b.versions, cost)
        is_comparable = cost != "time" or is_timed_alike
        ratios[cost] = cost_a / cost_b if is_comparable and cost_a and cost_b else None
    return ratios


def _have_same_recipe(a: ReplicateGroup, b: ReplicateGroup) -> bool:
    """Return whether two models have the same recipe, seeds included if each has only one."""
    has_replicates = max(len(a.versions), len(b.versions)) > 1
    runs = a.newest.run_record, b.newest.run_record
    return not recipe_differences(*runs, ignore_seeds=has_replicates)
