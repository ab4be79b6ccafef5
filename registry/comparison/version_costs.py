"""Costs of a version that accuracy can be plotted against, in the units in which they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.errors import UnknownCost
from registry.versions import VersionInfo


@dataclass(frozen=True, kw_only=True)
class CostUnit:
    """Unit in which a cost is shown."""

    title: str
    noun: str
    """What a ratio of two such costs is a multiple of."""
    factor: float
    """Multiplier from FLOPs, seconds or parameters."""
    missing: str = "not measured"
    """Why a version may have no such cost."""


COSTS = {
    "token": CostUnit(title="GFLOPs per token", noun="FLOPs per token", factor=1e-9),
    "item": CostUnit(title="GFLOPs per answered item", noun="FLOPs per item", factor=1e-9),
    "time": CostUnit(title="milliseconds per answered item", noun="time per item", factor=1e3),
    "memory": CostUnit(title="million parameters in memory", noun="memory", factor=1e-6),
    "training": CostUnit(
        title="training TFLOPs",
        noun="training FLOPs",
        factor=1e-12,
        missing="unknown, because it starts from weights of unknown cost",
    ),
}
"""Costs that accuracy can be plotted against. Memory is that of the weights, in parameters;
training includes the runs that a version started from."""


def check_cost(cost: str) -> None:
    """Check that a cost is one of COSTS.

    Raises:
        UnknownCost: it is not.
    """
    if cost not in COSTS:
        raise UnknownCost(f"unknown cost {cost!r}; expected one of {', '.join(COSTS)}")


def cost_of(version: VersionInfo, cost: str) -> float | None:
    """Return a version's cost.

    Args:
        version: the version.
        cost: a key of COSTS.

    Returns:
        The cost in the unit of COSTS; None if it is unknown.

    Raises:
        UnknownCost: `cost` is not a key of COSTS.
    """
    check_cost(cost)
    value = {
        "token": version.run_record.flops_per_token,
        "item": version.evaluation.flops_per_item,
        "time": version.speed.seconds_per_item if version.speed else None,
        "memory": version.run_record.total_parameters,
        "training": version.run_record.cumulative_training_flops,
    }[cost]
    return None if value is None else float(value) * COSTS[cost].factor


def mean_cost(versions: Sequence[VersionInfo], cost: str) -> float | None:
    """Return the cost averaged over the seeds of a model; None if it is unknown for one of them.

    Args:
        versions: a version per seed.
        cost: a key of COSTS.
    """
    costs = [cost_of(version, cost) for version in versions]
    known = [value for value in costs if value is not None]
    return sum(known) / len(known) if len(known) == len(costs) else None
