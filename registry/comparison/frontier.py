"""Pareto frontier of accuracy against cost, with its uncertainty.

Only versions that were evaluated on the same items are compared: a partial score is never compared
with a complete one. Versions that differ in their seed only are one point. Shape suffixes: R draws,
V points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from registry.comparison.dense_partners import DensePartner, find_dense_partners
from registry.comparison.joint_draws import draw_accuracies, draw_independent
from registry.comparison.precision import (
    MAX_ROUNDING_ERROR,
    describe_precision,
    rounding_error,
)
from registry.comparison.replicates import group_replicates
from registry.comparison.variance_components import Floats
from registry.errors import UnknownCost
from registry.versions import ModelKind, VersionInfo, current_versions


@dataclass(frozen=True, kw_only=True)
class CostUnit:
    """Unit in which a cost is shown."""

    title: str
    factor: float
    """Multiplier from FLOPs or seconds."""
    missing: str = "not measured"
    """Why a version may have no such cost."""


COSTS = {
    "token": CostUnit(title="GFLOPs per token", factor=1e-9),
    "item": CostUnit(title="GFLOPs per answered item", factor=1e-9),
    "time": CostUnit(title="milliseconds per answered item", factor=1e3),
    "training": CostUnit(
        title="training TFLOPs",
        factor=1e-12,
        missing="unknown, because it starts from weights of unknown cost",
    ),
}
"""Costs that accuracy can be plotted against."""


@dataclass(frozen=True, kw_only=True)
class FrontierPoint:
    """One model in the plot of accuracy against cost."""

    name: str
    version: int
    """The newest, if there is a version per seed."""
    num_seeds: int
    kind: ModelKind
    tuned: bool
    is_champion: bool
    accuracy: float
    """Averaged over seeds."""
    standard_error: float
    """Over clusters of items, and over seeds if there are several."""
    partial: bool
    cost: float
    """In the frontier's unit."""
    on_frontier: bool
    """Whether no other version is at least as good in accuracy and cost, and better in one."""
    probability: float
    """Probability that it is truly on the frontier."""


@dataclass(frozen=True, kw_only=True)
class ExcludedVersion:
    """A version that is not among the points, and the reason."""

    name: str
    version: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """Accuracy against cost, for the newest version of each run and the champion."""

    cost: str
    """A key of COSTS."""
    unit: str
    excluded: tuple[ExcludedVersion, ...]
    paired: bool
    """Whether the answers of all versions are compared item by item; else each accuracy is drawn
    from a normal distribution with its standard error."""
    points: tuple[FrontierPoint, ...]
    """In order of cost."""
    dense_partners: tuple[DensePartner, ...]
    without_partner: tuple[str, ...]
    """MoE versions to which no dense version of the same recipe belongs, such as "moe v3"."""

    def to_dict(self) -> dict[str, Any]:
        """Return the frontier as JSON values."""
        return asdict(self)


def cost_of(version: VersionInfo, cost: str) -> float | None:
    """Return a version's cost.

    Args:
        version: the version.
        cost: a key of COSTS.

    Returns:
        The cost in the unit of COSTS; None if it is unknown. Training includes the runs that the
        version started from.

    Raises:
        UnknownCost: `cost` is not a key of COSTS.
    """
    _check_cost(cost)
    value = {
        "token": version.run_record.flops_per_token,
        "item": version.evaluation.flops_per_item,
        "time": version.speed.seconds_per_item if version.speed else None,
        "training": version.run_record.cumulative_training_flops,
    }[cost]
    return None if value is None else float(value) * COSTS[cost].factor


def _check_cost(cost: str) -> None:
    if cost not in COSTS:
        raise UnknownCost(f"unknown cost {cost!r}; expected one of {', '.join(COSTS)}")


def compute_frontier(
    versions: Sequence[VersionInfo], cost: str, samples_of: Callable[[VersionInfo], Path | None]
) -> Frontier:
    """Compute the Pareto frontier of the newest version of each run and of the champion.

    Versions that were not evaluated on the items of the newest version or in its precision, and
    those whose cost is unknown, are excluded.

    Args:
        versions: versions of one registered model, oldest first.
        cost: a key of COSTS.
        samples_of: returns the samples.parquet of a version; None if they were not stored.

    Raises:
        UnknownCost: `cost` is not a key of COSTS.
    """
    _check_cost(cost)
    candidates = current_versions(versions)
    placed: list[tuple[float, VersionInfo]] = []
    excluded = []
    for version in candidates:
        value = cost_of(version, cost)
        reason = _exclusion_reason(version, candidates, cost)
        if reason or value is None:
            excluded.append(_exclude(version, reason))
        else:
            placed.append((value, version))
    if not placed:
        return Frontier(
            cost=cost,
            unit=COSTS[cost].title,
            excluded=tuple(excluded),
            paired=False,
            points=(),
            dense_partners=(),
            without_partner=(),
        )
    cost_by_version = {version.version: value for value, version in placed}
    costs_and_groups = [
        (sum(cost_by_version[v.version] for v in group.versions) / len(group.versions), group)
        for group in group_replicates([version for _, version in placed], samples_of)
    ]
    costs_and_groups.sort(key=lambda entry: (entry[0], -entry[1].accuracy))
    groups = [group for _, group in costs_and_groups]
    costs_V = np.array([value for value, _ in costs_and_groups])
    paired = all(group.results for group in groups)
    draws_RV, errors_V = draw_accuracies(groups) if paired else draw_independent(groups)
    on_frontier = _non_dominated(costs_V, np.array([[group.accuracy for group in groups]]))[0]
    probability = _non_dominated(costs_V, draws_RV).mean(0)
    points = tuple(
        FrontierPoint(
            name=group.newest.name,
            version=group.newest.version,
            num_seeds=len(group.versions),
            kind=group.newest.kind,
            tuned=group.newest.run_record.tuned,
            is_champion=group.is_champion,
            accuracy=group.accuracy,
            standard_error=float(errors_V[i]),
            partial=any(version.evaluation.partial for version in group.versions),
            cost=value,
            on_frontier=bool(on_frontier[i]),
            probability=float(probability[i]),
        )
        for i, (value, group) in enumerate(costs_and_groups)
    )
    dense_partners, without_partner = find_dense_partners(points, groups)
    return Frontier(
        cost=cost,
        unit=COSTS[cost].title,
        excluded=tuple(excluded),
        paired=paired,
        points=points,
        dense_partners=dense_partners,
        without_partner=without_partner,
    )


def _exclusion_reason(version: VersionInfo, candidates: Sequence[VersionInfo], cost: str) -> str:
    """Return why a version cannot be compared with the newest one; empty if it can."""
    newest = max(candidates, key=lambda candidate: candidate.version)
    if version.items_digest != newest.items_digest:
        return "evaluated on other items"
    if rounding_error(version.evaluation, newest.evaluation) > MAX_ROUNDING_ERROR:
        return f"evaluated in {describe_precision(version.evaluation)}"
    if cost_of(version, cost) is None:
        detail = f": {version.speed.reason}" if cost == "time" and version.speed else ""
        return f"{COSTS[cost].title} {COSTS[cost].missing}{detail}"
    timed = [other for other in candidates if other.speed and other.speed.seconds_per_item]
    if cost == "time" and version.speed and timed:
        newest_timed = max(timed, key=lambda candidate: candidate.version)
        if newest_timed.speed and version.speed.conditions != newest_timed.speed.conditions:
            return "timed on another device, or with another precision, batch size or threads"
    return ""


def _exclude(version: VersionInfo, reason: str) -> ExcludedVersion:
    return ExcludedVersion(name=version.name, version=version.version, reason=reason)


def _non_dominated(costs_V: Floats, accuracy_RV: Floats) -> npt.NDArray[np.bool_]:
    """Return, for each draw and version, whether no other version dominates it, bool [R, V].

    The last axis of the intermediate arrays is the version that may dominate.
    """
    as_cheap_VV = costs_V[None, :] <= costs_V[:, None]
    cheaper_VV = costs_V[None, :] < costs_V[:, None]
    gain_RVV = accuracy_RV[:, None, :] - accuracy_RV[:, :, None]
    dominated_RVV = as_cheap_VV & (gain_RVV >= 0) & (cheaper_VV | (gain_RVV > 0))
    return np.asarray(~dominated_RVV.any(-1))
