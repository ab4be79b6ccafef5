"""Accuracy against cost: which versions no other one beats on both, and how sure is that?

Only versions that were scored on the same items are put side by side: a partial score is never
compared with a full one.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from registry.errors import UnknownCost

Floats = npt.NDArray[np.float64]

COSTS: dict[str, tuple[str, float]] = {
    "token": ("GFLOPs per token", 1e-9),
    "item": ("GFLOPs per answered item", 1e-9),
    "time": ("milliseconds per answered item", 1e3),
    "training": ("training TFLOPs", 1e-12),
}
"""What accuracy can be held against: its unit, and the factor to it."""

TWIN = 1.1
"""Costs within this factor are called equal."""

RESAMPLES = 2_000


def cost(version: dict[str, Any], name: str) -> float | None:
    """A version's cost in the unit of COSTS; None where it was not measured."""
    if name not in COSTS:
        raise UnknownCost(f"no cost is called {name!r}; known: {', '.join(COSTS)}")
    value = {
        "token": version["flops_per_token"],
        "item": version["flops_per_item"],
        "time": version["seconds_per_item"],
        "training": version["training_flops"],
    }[name]
    return None if value is None else float(value) * COSTS[name][1]


def frontier(versions: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The newest versions of each run that were scored on the newest one's items, with their place.

    Of each: `cost`, `on_front` (no other is at least as good on both and better on one), and
    `probability` of that when the items are drawn anew, the same ones for all. `twins`: each MoE
    with the dense version nearest in cost. `left_out`: those with other items or no such cost.
    """
    newest = list({version["name"]: version for version in versions}.values())
    last = max(newest, key=lambda version: version["version"], default=None)
    placed, left_out = [], []
    for version in newest:
        found = cost(version, name)
        if last is not None and version["scored_on"] != last["scored_on"]:
            left_out.append({"name": version["name"], "reason": "scored on other items"})
        elif found is None:
            left_out.append({"name": version["name"], "reason": f"no {COSTS[name][0]} measured"})
        else:
            placed.append({**version, "cost": found})
    about = {"cost": name, "unit": COSTS[name][0], "left_out": left_out}
    if not placed:
        return {**about, "paired": False, "points": [], "twins": []}
    placed.sort(key=lambda version: (version["cost"], -version["accuracy"]))
    drawn, paired = _drawn(placed)
    costs = np.array([version["cost"] for version in placed])
    accuracy = np.array([[version["accuracy"] for version in placed]])
    now = _undominated(costs, accuracy)[0]
    probability = _undominated(costs, drawn).mean(0)
    points = [
        {
            "name": version["name"],
            "version": version["version"],
            "kind": kind(version),
            "tuned": version["tuned"],
            "accuracy": version["accuracy"],
            "error": version["error"],
            "partial": version["partial"],
            "cost": version["cost"],
            "on_front": bool(now[i]),
            "probability": float(probability[i]),
        }
        for i, version in enumerate(placed)
    ]
    return {**about, "paired": paired, "points": points, "twins": _twins(points, drawn)}


def kind(version: dict[str, Any]) -> str:
    """`MoE` or `dense`."""
    return "MoE" if version["run_record"]["model"].get("moe") else "dense"


def _undominated(costs: Floats, accuracy_RV: Floats) -> npt.NDArray[np.bool_]:
    """Draws x versions: whether no other version is as cheap and as good, and better in one."""
    as_cheap = costs[None, :] <= costs[:, None]
    cheaper = costs[None, :] < costs[:, None]
    gain_RVW = accuracy_RV[:, None, :] - accuracy_RV[:, :, None]
    beaten = as_cheap & (gain_RVW >= 0) & (cheaper | (gain_RVW > 0))
    return np.asarray(~beaten.any(-1))


def _twins(points: list[dict[str, Any]], drawn: Floats) -> list[dict[str, Any]]:
    """Each MoE with the dense version of the same tuning that is nearest in cost."""
    result = []
    for i, moe in enumerate(points):
        dense = [
            j
            for j, other in enumerate(points)
            if other["kind"] == "dense" and other["tuned"] == moe["tuned"]
        ]
        if moe["kind"] != "MoE" or not dense:
            continue
        j = min(dense, key=lambda j: abs(np.log(points[j]["cost"] / moe["cost"])))
        ratio = moe["cost"] / points[j]["cost"]
        gain = drawn[:, i] - drawn[:, j]
        low, high = np.quantile(gain, [0.025, 0.975])
        result.append(
            {
                "moe": moe["name"],
                "dense": points[j]["name"],
                "cost_ratio": float(ratio),
                "equal_cost": bool(1 / TWIN <= ratio <= TWIN),
                "difference": moe["accuracy"] - points[j]["accuracy"],
                "low": float(low),
                "high": float(high),
            }
        )
    return result


def _drawn(versions: list[dict[str, Any]]) -> tuple[Floats, bool]:
    """Accuracies of all versions under redrawn items, and whether the items were the same ones.

    They are where the answers were kept. Else each accuracy is drawn by its own standard error,
    which makes differences look less sure than they are.
    """
    generator = np.random.default_rng(0)
    answers = [_answers(Path(version["artifact"])) for version in versions]
    if any(found is None for found in answers):
        means = [version["accuracy"] for version in versions]
        errors = [version["error"] for version in versions]
        return generator.normal(means, errors, size=(RESAMPLES, len(versions))), False
    total = np.zeros((RESAMPLES, len(versions)))
    for task, weight in _weights(versions[0]).items():
        scores_VN = np.stack([found[task] for found in answers if found is not None])
        # Items on which all versions score alike are one kind: how often each kind is drawn.
        kinds, counts = np.unique(scores_VN, axis=1, return_counts=True)
        n = scores_VN.shape[1]
        drawn = generator.multinomial(n, counts / n, size=RESAMPLES)
        total += weight * (drawn @ kinds.T) / n
    return total, True


def _answers(artifact: Path) -> dict[str, Floats] | None:
    """Task -> score of each item, in order of their ids; None where they were not kept."""
    file = artifact / "samples.parquet"
    if not file.is_file():
        return None
    table = pq.read_table(file)
    if not {"task", "id", "score"} <= set(table.column_names):
        return None
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    columns = (table[name].to_pylist() for name in ("task", "id", "score"))
    for task, item, score in zip(*columns, strict=True):
        found[task].append((item, score))
    return {task: np.array([score for _, score in sorted(rows)]) for task, rows in found.items()}


def _weights(version: dict[str, Any]) -> dict[str, float]:
    """Task -> its part in the accuracy: suites, their units and these units' tasks count alike."""
    tree: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for task in version["tasks"]:
        tree[task["suite"]][task.get("unit", task["task"])].append(task["task"])
    return {
        task: 1 / len(tree) / len(units) / len(members)
        for units in tree.values()
        for members in units.values()
        for task in members
    }
