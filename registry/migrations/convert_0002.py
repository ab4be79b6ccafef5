"""Conversion of rows between schema revisions 0001 and 0002.

Revision 0001 has one table for runs and versions, a stage instead of states and aliases, one
evaluation a version and transitions instead of events. Rows are dictionaries, by table.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

Row = dict[str, Any]
Rows = dict[str, list[Row]]

_KINDS = {"candidate": "registered", "champion": "promoted", "archived": "demoted"}
_RUN_COLUMNS = (
    "name",
    "tuned",
    "total_parameters",
    "active_parameters",
    "flops_per_token",
    "training_flops",
    "training_seconds",
)
_VERSION_COLUMNS = ("id", "model_id", "number", "digest", "artifact", "created_at")


def upgrade_rows(old: Rows) -> Rows:
    """Convert rows of 0001 to 0002.

    Args:
        old: rows of `versions`, `evaluations` and `transitions`.

    Returns:
        Rows of the tables of 0002; ids of versions, evaluations and events stay the same.
    """
    new: Rows = defaultdict(list)
    evaluation_by_version = {row["version_id"]: row for row in old["evaluations"]}
    run_ids: dict[str, int] = {}
    for version in old["versions"]:
        run = _run(version)
        if run["digest"] not in run_ids:
            run_ids[run["digest"]] = len(run_ids) + 1
            new["runs"].append({**run, "id": run_ids[run["digest"]]})
        new["versions"].append(
            {**{key: version[key] for key in _VERSION_COLUMNS}, "run_id": run_ids[run["digest"]]}
        )
        new["version_states"].append(_state(version))
        if version["stage"] == "champion":
            new["aliases"].append(_champion(version))
        evaluation = evaluation_by_version.get(version["id"])
        if evaluation is not None:
            _add_evaluation(new, evaluation, version)
    new["events"] = _events(old)
    return new


def downgrade_rows(new: Rows) -> Rows:
    """Convert rows of 0002 to 0001, which has no place for most of them.

    Args:
        new: rows of the tables of 0002.

    Returns:
        Rows of `versions`, `evaluations` (the newest of each version) and `transitions`.
    """
    old: Rows = defaultdict(list)
    run_by_id = {row["id"]: row for row in new["runs"]}
    stages = stage_by_version(new)
    for version in new["versions"]:
        run = run_by_id[version["run_id"]]
        old["versions"].append(
            {
                **{key: value for key, value in version.items() if key != "run_id"},
                **{key: run[key] for key in _RUN_COLUMNS},
                "training_seconds": run["training_seconds"] or 0.0,
                "stage": stages[version["id"]],
                "run_record": run["record"],
            }
        )
    speeds = {row["evaluation_id"]: row["record"] for row in new["speeds"]}
    newest = {row["version_id"]: row for row in new["evaluations"]}
    for row in newest.values():
        same = ("id", "version_id", "accuracy", "normalised", "partial")
        old["evaluations"].append(
            {
                **{key: row[key] for key in same},
                "error": row["standard_error"],
                "chance": row["random_score"],
                "items": row["num_items"],
                "record": {**row["record"], "speed": speeds.get(row["id"])},
            }
        )
    old["transitions"] = _transitions(new["events"])
    return old


def stage_by_version(new: Rows) -> dict[int, str]:
    """Return the stage that 0001 has for each version id: candidate, champion or archived."""
    champions = {row["version_id"] for row in new["aliases"] if row["name"] == "champion"}
    return {
        row["version_id"]: "champion"
        if row["version_id"] in champions
        else ("candidate" if row["state"] == "registered" else "archived")
        for row in new["version_states"]
    }


def _run(version: Row) -> Row:
    record = version["run_record"]
    is_from_scratch = record["start"] == "scratch"
    key = f"{version['name']}\n{record['weights_sha256']}"
    return {
        **{key: version[key] for key in _RUN_COLUMNS},
        "digest": hashlib.sha256(key.encode()).hexdigest(),
        "dataset_id": None,
        "seed": record["seed"],
        "is_moe": bool(record["model"].get("moe")),
        "cumulative_training_flops": record.get(
            "cumulative_training_flops", version["training_flops"] if is_from_scratch else None
        ),
        "git_commit": record["git_commit"],
        "data_version": record["data_version"],
        "record": record,
    }


def _state(version: Row) -> Row:
    return {
        "version_id": version["id"],
        "state": "archived" if version["stage"] == "archived" else "registered",
        "is_pinned": False,
        "description": "",
    }


def _champion(version: Row) -> Row:
    return {"model_id": version["model_id"], "name": "champion", "version_id": version["id"]}


def _add_evaluation(new: Rows, row: Row, version: Row) -> None:
    record = dict(row["record"])
    speed = record.pop("speed", None)
    new["evaluations"].append(
        {
            **{key: row[key] for key in ("id", "version_id", "accuracy", "normalised", "partial")},
            "standard_error": row["error"],
            "random_score": row["chance"],
            "num_items": row["items"],
            "flops_per_item": record["flops_per_item"],
            "items_digest": _items_digest(record),
            "samples_sha256": record["samples_sha256"],
            "artifact": version["artifact"],
            "record": record,
            "created_at": version["created_at"],
        }
    )
    if speed is not None:
        new["speeds"].append(
            {
                "id": len(new["speeds"]) + 1,
                "evaluation_id": row["id"],
                "record": speed,
                "at": version["created_at"],
            }
        )
    scores = [("score", row["accuracy"], row["error"])]
    for kind in ("suite", "task"):
        for score in record[f"{kind}s"]:
            error = score["standard_error"] if "standard_error" in score else score["error"]
            scores.append((f"{kind}.{score[kind]}"[:300], score["accuracy"], error))
    for name, accuracy, error in scores:
        new["metrics"].append(
            {
                "evaluation_id": row["id"],
                "name": name,
                "value": 100 * accuracy,
                "low": 100 * max(0.0, accuracy - 1.96 * error),
                "high": 100 * min(1.0, accuracy + 1.96 * error),
            }
        )


def _items_digest(record: Row) -> str:
    tasks = {
        (
            task["task"],
            task["version"],
            task["file_sha256"],
            task["num_items"] if "num_items" in task else task["n"],
        )
        for task in record["tasks"]
    }
    return hashlib.sha256(str(sorted(tasks)).encode()).hexdigest()[:12]


def _events(old: Rows) -> list[Row]:
    model_by_version = {row["id"]: row["model_id"] for row in old["versions"]}
    number_by_version = {row["id"]: row["number"] for row in old["versions"]}
    champion_by_model: dict[int, int] = {}
    events = []
    for row in old["transitions"]:
        model, kind = model_by_version[row["version_id"]], _KINDS[row["to_stage"]]
        details: Row = {"gates": row["evidence"]} if row["evidence"] else {}
        if kind == "promoted":
            details["previous"] = champion_by_model.get(model)
            champion_by_model[model] = number_by_version[row["version_id"]]
        events.append(
            {
                **{key: row[key] for key in ("id", "version_id", "actor", "reason", "at")},
                "model_id": model,
                "kind": kind,
                "details": details,
            }
        )
    return events


def _transitions(events: list[Row]) -> list[Row]:
    stages = {kind: stage for stage, kind in _KINDS.items()}
    last_stage: dict[int, str] = {}
    transitions = []
    for event in events:
        stage = stages.get(event["kind"])
        if stage is None:
            continue
        version = event["version_id"]
        transitions.append(
            {
                **{key: event[key] for key in ("id", "version_id", "actor", "at")},
                "reason": event["reason"][:2000],
                "from_stage": last_stage.get(version),
                "to_stage": stage,
                "evidence": event["details"].get("gates", []),
            }
        )
        last_stage[version] = stage
    return transitions
