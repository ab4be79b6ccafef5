"""Pareto frontier of a score against a cost, with its uncertainty.

Only versions that were evaluated on the same items are compared: a partial score is never compared
with a complete one. Versions that differ in their seed only are one point. Shape suffixes: R draws,
V points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from registry.comparison.dense_partners import DensePartner, find_dense_partners
from registry.comparison.joint_draws import NUM_DRAWS, draw_independent, draw_paired
from registry.comparison.model_difference import ModelDifference, subtract
from registry.comparison.model_set import (
    ExcludedVersion,
    ItemSet,
    SamplesOf,
    ScoredModel,
    select_models,
)
from registry.comparison.scores import OVERALL
from registry.comparison.tie_groups import number_tie_groups
from registry.comparison.variance_components import Floats
from registry.comparison.version_costs import COSTS, check_cost, cost_of, mean_cost
from registry.errors import InvalidQuery
from registry.tables import VersionState
from registry.versions import ModelKind, VersionInfo


@dataclass(frozen=True, kw_only=True)
class FrontierPoint:
    """One model in the plot of a score against a cost."""

    name: str
    version: int
    """The newest, if there is a version per seed."""
    versions: tuple[int, ...]
    """Of all seeds, newest first."""
    num_seeds: int
    kind: ModelKind
    tuned: bool
    is_champion: bool
    is_rejected: bool
    """Whether a person rejected the version."""
    accuracy: float
    """The score, averaged over seeds."""
    standard_error: float
    """Over clusters of items, and over seeds if there are several."""
    random_score: float
    partial: bool
    cost: float
    """In the frontier's unit."""
    on_frontier: bool
    """Whether no other version is at least as good in score and cost, and better in one."""
    probability: float
    """Probability that it is truly on the frontier."""
    tie_group: int
    """Models of one group are not shown to differ in the score; 1 is the group of the best."""
    start_version: int | None
    """The point whose weights training started from; None if it is not among the points."""
    against_baseline: ModelDifference | None
    """Score minus that of the baseline; None for the baseline, and without a baseline."""


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """A score against a cost, for the newest version of each run and the champion."""

    cost: str
    """A key of COSTS."""
    unit: str
    score: str
    """A name of `scores.score_names`."""
    score_names: tuple[str, ...]
    """Scores that the models have."""
    items_digest: str
    """The items that all points answered; empty without a version."""
    item_sets: tuple[ItemSet, ...]
    """Sets of items to choose from, the newest first."""
    excluded: tuple[ExcludedVersion, ...]
    paired: bool
    """Whether the answers of all versions are compared item by item; else each score is drawn from
    a normal distribution with its standard error."""
    baseline: int | None
    """Version of the point that the others are compared with."""
    points: tuple[FrontierPoint, ...]
    """In order of cost."""
    dense_partners: tuple[DensePartner, ...]
    without_partner: tuple[str, ...]
    """MoE versions to which no dense version of the same recipe belongs, such as "moe v3"."""

    def to_dict(self) -> dict[str, Any]:
        """Return the frontier as JSON values."""
        return asdict(self)


def compute_frontier(
    versions: Sequence[VersionInfo],
    cost: str,
    samples_of: SamplesOf,
    *,
    score: str = OVERALL,
    items_digest: str = "",
    baseline: int | None = None,
) -> Frontier:
    """Compute the Pareto frontier of the newest version of each run and of the champion.

    Versions that were not evaluated on the same items or in the same precision, and those whose
    cost is unknown, are excluded.

    Args:
        versions: versions of one registered model, oldest first.
        cost: a key of COSTS.
        samples_of: returns the samples.parquet of a version; None if they were not stored.
        score: a name of `scores.score_names`.
        items_digest: the items of the evaluation; empty: see `model_set.select_models`.
        baseline: version of the model that the others are compared with; None: the champion.

    Raises:
        UnknownCost: `cost` is not a key of COSTS.
        InvalidQuery: the score or the items do not exist, or the baseline is not among the points.
    """
    check_cost(cost)
    selected = select_models(
        versions,
        samples_of,
        score=score,
        items_digest=items_digest,
        exclusion=_ExclusionByCost(versions, cost),
    )
    models = sorted(selected.models, key=lambda model: (_cost(model, cost), -model.value))
    costs = [_cost(model, cost) for model in models]
    paired = bool(models) and all(model.group.results for model in models)
    baseline_model = _find_baseline(models, baseline)
    dense_partners, without_partner = find_dense_partners(models, costs)
    return Frontier(
        cost=cost,
        unit=COSTS[cost].title,
        score=score,
        score_names=selected.score_names,
        items_digest=selected.items_digest,
        item_sets=selected.item_sets,
        excluded=selected.excluded,
        paired=paired,
        baseline=baseline_model.group.newest.version if baseline_model else None,
        points=_points(models, costs, paired=paired, baseline=baseline_model),
        dense_partners=dense_partners,
        without_partner=without_partner,
    )


def _cost(model: ScoredModel, cost: str) -> float:
    value = mean_cost(model.group.versions, cost)
    assert value is not None  # versions of unknown cost are excluded
    return value


def _find_baseline(models: Sequence[ScoredModel], number: int | None) -> ScoredModel | None:
    if number is None:
        return next((model for model in models if model.group.is_champion), None)
    for model in models:
        if number in (version.version for version in model.group.versions):
            return model
    listed = ", ".join(str(model.group.newest.version) for model in models[:20]) or "none"
    raise InvalidQuery(f"baseline: version {number} is not among the points; expected {listed}")


def _points(
    models: Sequence[ScoredModel],
    costs: Sequence[float],
    *,
    paired: bool,
    baseline: ScoredModel | None,
) -> tuple[FrontierPoint, ...]:
    if not models:
        return ()
    costs_V = np.array(costs)
    draws = draw_paired(models) if paired else draw_independent(models)
    on_frontier_V = non_dominated(costs_V, draws.values_V[None, :])[0]
    counts_V = sum(non_dominated(costs_V, block_RV).sum(0) for block_RV in draws.blocks())
    starts, tie_groups = _start_versions(models), number_tie_groups(models)
    return tuple(
        FrontierPoint(
            name=model.group.newest.name,
            version=model.group.newest.version,
            versions=tuple(version.version for version in model.group.versions),
            num_seeds=len(model.group.versions),
            kind=model.group.newest.kind,
            tuned=model.group.newest.run_record.tuned,
            is_champion=model.group.is_champion,
            is_rejected=model.group.newest.state is VersionState.REJECTED,
            accuracy=model.value,
            standard_error=float(draws.errors_V[i]),
            random_score=model.scores[0].random_score,
            partial=any(score.partial for score in model.scores),
            cost=costs[i],
            on_frontier=bool(on_frontier_V[i]),
            probability=float(counts_V[i]) / NUM_DRAWS,
            tie_group=tie_groups[i],
            start_version=starts[i],
            against_baseline=subtract(model, baseline)
            if baseline is not None and baseline is not model
            else None,
        )
        for i, model in enumerate(models)
    )


def _start_versions(models: Sequence[ScoredModel]) -> list[int | None]:
    """Return, for each model, the model that one of its versions was trained from."""
    version_by_chain = {
        (chain.origin, chain.runs): model.group.newest.version
        for model in models
        for version in model.group.versions
        for chain in [version.run_record.training_chain]
        if chain.runs
    }
    starts: list[int | None] = []
    for model in models:
        chains = [version.run_record.training_chain for version in model.group.versions]
        keys = [(chain.origin, chain.runs[:-1]) for chain in chains]
        starts.append(
            next((version_by_chain[key] for key in keys if key in version_by_chain), None)
        )
    return starts


class _ExclusionByCost:
    """Why a version has no cost that compares with the others'."""

    def __init__(self, versions: Sequence[VersionInfo], cost: str) -> None:
        self.cost = cost
        timed = [v for v in versions if v.speed and v.speed.seconds_per_item]
        newest = max(timed, key=lambda version: version.version, default=None)
        self.conditions = newest.speed.conditions if newest and newest.speed else None

    def __call__(self, version: VersionInfo) -> str:
        unit, is_time = COSTS[self.cost], self.cost == "time"
        if cost_of(version, self.cost) is None:
            detail = f": {version.speed.reason}" if is_time and version.speed else ""
            return f"{unit.title} {unit.missing}{detail}"
        if is_time and version.speed and version.speed.conditions != self.conditions:
            return "timed on another device, or with another precision, batch size or threads"
        return ""


def non_dominated(costs_V: Floats, scores_RV: Floats) -> npt.NDArray[np.bool_]:
    """Return, for each draw and point, whether no other point dominates it, bool [R, V].

    A point dominates another if it is at least as cheap and as good, and better in one.

    Args:
        costs_V: costs in ascending order.
        scores_RV: scores.
    """
    best_RV = np.maximum.accumulate(scores_RV, axis=1)
    first_V = np.searchsorted(costs_V, costs_V, side="left")
    last_V = np.searchsorted(costs_V, costs_V, side="right") - 1
    is_best_of_cost_RV = scores_RV >= best_RV[:, last_V]
    best_cheaper_RV = np.where(first_V > 0, best_RV[:, first_V - 1], -np.inf)
    return np.asarray(is_best_of_cost_RV & (scores_RV > best_cheaper_RV))
