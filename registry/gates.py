"""Promotion gates: each says yes or no, and why, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry.comparison.item_set import items
from registry.params import GateParams
from registry.tables import Evaluation, Version


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One check of a candidate."""

    name: str
    passed: bool
    detail: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(candidate: Version, champion: Version | None, params: GateParams) -> list[Gate]:
    """Every gate, also after one has failed: the whole list is the evidence."""
    score = candidate.evaluation
    needed = score.chance + params.min_standard_errors_above_chance * score.error
    gates = [
        Gate(
            name="weights_kept",
            passed=(Path(candidate.artifact) / "weights" / "model.safetensors").is_file(),
            detail=candidate.artifact,
        ),
        Gate(
            name="enough_items",
            passed=score.items >= params.min_items,
            detail=f"{score.items} items, at least {params.min_items}",
        ),
        Gate(
            name="complete",
            passed=params.allow_partial or not score.partial,
            detail="partial evaluation" if score.partial else "all items",
        ),
        Gate(
            name="above_chance",
            passed=score.accuracy > needed,
            detail=f"accuracy {score.accuracy:.4f}, chance {score.chance:.4f}, needed above "
            f"{needed:.4f}",
        ),
    ]
    gates.append(_uncontaminated(score, params))
    if champion is not None and champion.id != candidate.id:
        gates += _against(score, champion, params)
    return gates


def _uncontaminated(score: Evaluation, params: GateParams) -> Gate:
    """By suite, the worst of them: a small suite must not hide behind a large one."""
    tasks = score.record["tasks"]
    if any(task.get("contaminated") is None for task in tasks):
        return Gate(
            name="uncontaminated",
            passed=False,
            detail="the evaluation does not say which items were trained on; evaluate again",
        )
    counts: dict[str, list[int]] = {}
    for task in tasks:
        found = counts.setdefault(task["suite"], [0, 0])
        found[0] += task["contaminated"]
        found[1] += task["n"]
    suite, (contaminated, items) = max(counts.items(), key=lambda entry: entry[1][0] / entry[1][1])
    return Gate(
        name="uncontaminated",
        passed=contaminated / items <= params.max_contaminated_share,
        detail=f"at worst {contaminated} of {items} items ({suite}) overlap with the training "
        f"mixture, at most {params.max_contaminated_share:.1%}",
    )


def _against(score: Evaluation, champion: Version, params: GateParams) -> list[Gate]:
    held = champion.evaluation
    same = items(score.record) == items(held.record)
    return [
        Gate(
            name="same_items_as_champion",
            passed=same,
            detail=f"version {champion.number} was scored on "
            + ("the same items" if same else "other items: their accuracies do not compare"),
        ),
        Gate(
            name="better_than_champion",
            passed=score.accuracy > held.accuracy + params.min_gain,
            detail=f"accuracy {score.accuracy:.4f}, champion version {champion.number} has "
            f"{held.accuracy:.4f}, gain needed above {params.min_gain}",
        ),
    ]
