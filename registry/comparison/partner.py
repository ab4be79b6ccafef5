"""The dense partner of an MoE model: the dense model that was trained by the same recipe.

Any other dense model differs in more than its experts, so a difference in accuracy would not show
what the experts gain. Shape suffixes: R resamples, V versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.comparison.intervals import Floats, percentile_interval
from registry.schemas import SCRATCH, UNKNOWN, RunRecordSchema

if TYPE_CHECKING:
    from registry.comparison.frontier import FrontierPoint

RECIPE = ("data", "data_version", "tasks", "steps", "seed", "global_batch_size")
"""Fields of each run of a training chain that partners have in common."""
EQUAL_COST_FACTOR = 1.1
"""Costs within this factor count as equal."""
CONFIDENCE = 0.95


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


def recipe_differences(
    a: RunRecordSchema, b: RunRecordSchema, *, ignore_seeds: bool = False
) -> list[str]:
    """Describe how the training of two runs differs, apart from their models.

    Args:
        a: one run; its values precede those of `b`.
        b: the other run.
        ignore_seeds: whether the runs may differ in their seeds.

    Returns:
        A text for each difference; empty if data, tasks, steps and seeds are equal in every run of
        both training chains, and so are the weights that the chains began with.
    """
    chain_a, chain_b = a.training_chain, b.training_chain
    origins = [chain_a.origin, chain_b.origin]
    if UNKNOWN in origins:
        unknown = " and ".join(r.name for r, o in zip((a, b), origins, strict=True) if o == UNKNOWN)
        return [f"the start chain of {unknown} is not recorded"]
    differences = []
    if chain_a.origin != chain_b.origin:
        first, second = (_describe_origin(origin) for origin in origins)
        differences.append(f"initial weights are {first} and {second}")
    if len(chain_a.runs) != len(chain_b.runs):
        first, second = (
            " → ".join(run.name for run in chain.runs) or "no training"
            for chain in (chain_a, chain_b)
        )
        return [*differences, f"start chains are {first} and {second}"]
    for run_a, run_b in zip(chain_a.runs, chain_b.runs, strict=True):
        is_last = run_a is chain_a.runs[-1]
        where = "" if is_last else f" of the starts {run_a.name} and {run_b.name}"
        differences += [
            f"{field}{where} is {_describe(value_a)} and {_describe(value_b)}"
            for field in RECIPE
            if not (ignore_seeds and field == "seed")
            for value_a, value_b in [(getattr(run_a, field), getattr(run_b, field))]
            if value_a != value_b
        ]
    return differences


def find_dense_partners(
    points: Sequence[FrontierPoint], runs: Sequence[RunRecordSchema], resampled_RV: Floats
) -> tuple[tuple[DensePartner, ...], tuple[str, ...]]:
    """Find the dense partner of each MoE version.

    Args:
        points: versions of the frontier.
        runs: run record of each point.
        resampled_RV: resampled accuracies of the points.

    Returns:
        The partners, and the MoE versions that have none, such as "moe v3".
    """
    partners, without_partner = [], []
    for i, moe in enumerate(points):
        if moe.kind != "MoE":
            continue
        dense = [
            j
            for j, other in enumerate(points)
            if other.kind == "dense" and not recipe_differences(runs[i], runs[j])
        ]
        if not dense:
            without_partner.append(f"{moe.name} v{moe.version}")
            continue
        j = min(dense, key=lambda j: abs(np.log(points[j].cost / moe.cost)))
        ratio = moe.cost / points[j].cost
        low, high = percentile_interval(resampled_RV[:, i] - resampled_RV[:, j], CONFIDENCE)
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
            )
        )
    return tuple(partners), tuple(without_partner)


def _describe_origin(origin: str) -> str:
    return "random" if origin == SCRATCH else f"imported ({origin[:12]})"


def _describe(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "all"
    return str(value)
