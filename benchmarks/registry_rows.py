"""Filling of a registry's database with many versions, for measurements of reads."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Engine, insert

from registry.tables import (
    EvaluationRow,
    EventRow,
    MetricRow,
    ModelRow,
    NoteRow,
    RunRow,
    TagRow,
    VersionRow,
    VersionStateRow,
)

Row = dict[str, Any]

SUITES = ("mmlu", "bbh", "gsm8k", "superglue")
ROWS_PER_INSERT = 20_000


def task_names(num_metrics: int) -> list[str]:
    """Return names of tasks, so that score, suites and tasks are this many metrics."""
    num_tasks = max(len(SUITES), num_metrics - 1 - len(SUITES))
    return [f"{SUITES[i % len(SUITES)]}/task{i:03d}" for i in range(num_tasks)]


def records(number: int, num_metrics: int) -> tuple[Row, Row]:
    """Return the run record and evaluation record of a version.

    Args:
        number: the version.
        num_metrics: metrics of a version.
    """
    factories: Any = import_module("tests.registry.factories")
    rng = random.Random(number)
    name = f"run{number % 500}"
    tasks = [
        factories.task_score(task, accuracy=rng.random(), num_items=100)
        for task in task_names(num_metrics)
    ]
    changes = {"flops_per_token": rng.uniform(1e8, 1e10), "seed": number}
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    run = factories.run_record(name, is_moe=number % 2 == 0, weights_sha256=digest, **changes)
    return run, factories.evaluation_record(name, tasks, weights_sha256=digest)


def fill_registry(engine: Engine, num_versions: int, num_metrics: int) -> None:
    """Add versions with records, metrics, tags and notes in one transaction."""
    with engine.begin() as connection:
        connection.execute(insert(ModelRow).values(id=1, name="model", description=""))
        batch: dict[Any, list[Row]] = {}
        for number in range(1, num_versions + 1):
            for table, row in _rows(number, num_metrics):
                batch.setdefault(table, []).append(row)
            if number % (ROWS_PER_INSERT // num_metrics + 1) == 0:
                _insert(connection, batch)
        _insert(connection, batch)


def _insert(connection: Connection, batch: dict[Any, list[Row]]) -> None:
    for table, rows in batch.items():
        connection.execute(insert(table), rows)
    batch.clear()


def _rows(number: int, num_metrics: int) -> Iterator[tuple[Any, Row]]:
    """Yield the rows of a version; its id and those of its run and evaluation are its number."""
    run, evaluation = records(number, num_metrics)
    columns = (
        "name", "seed", "tuned", "total_parameters", "active_parameters", "flops_per_token",
        "training_flops", "cumulative_training_flops", "training_seconds", "git_commit",
        "data_version",
    )  # fmt: skip
    digest = run["weights_sha256"]
    yield (
        RunRow,
        {
            **{column: run[column] for column in columns},
            "id": number, "digest": digest, "is_moe": number % 2 == 0, "record": run,
        },
    )  # fmt: skip
    yield (
        VersionRow,
        {
            "id": number, "model_id": 1, "number": number, "run_id": number, "digest": digest,
            "artifact": digest,
        },
    )  # fmt: skip
    yield VersionStateRow, {"version_id": number, "description": f"trained in week {number % 52}"}
    columns = (
        "accuracy", "standard_error", "random_score", "normalised", "partial", "num_items",
        "flops_per_item", "samples_sha256",
    )  # fmt: skip
    yield (
        EvaluationRow,
        {
            **{column: evaluation[column] for column in columns},
            "id": number, "version_id": number, "items_digest": digest[:12], "artifact": digest,
            "record": evaluation,
        },
    )  # fmt: skip
    scores = [("score", evaluation), *((f"suite.{s['suite']}", s) for s in evaluation["suites"])]
    scores += [(f"task.{task['task']}", task) for task in evaluation["tasks"]]
    for name, score in scores:
        value, margin = 100 * score["accuracy"], 196 * score["standard_error"]
        yield (
            MetricRow,
            {
                "evaluation_id": number, "name": name, "value": value,
                "low": max(0.0, value - margin), "high": min(100.0, value + margin),
            },
        )  # fmt: skip
    yield TagRow, {"version_id": number, "key": "owner", "value": f"person {number % 40}"}
    if number % 10 == 0:
        yield NoteRow, {"version_id": number, "author": "ann", "text": f"remark {number}"}
    yield (
        EventRow,
        {
            "model_id": 1, "version_id": number, "kind": "registered", "actor": "registry",
            "reason": "registered", "details": {},
        },
    )  # fmt: skip
