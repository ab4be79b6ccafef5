"""A finished evaluation, read back and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from registry.errors import NotComparable, UnknownVersion
from registry.files import sha256

COLUMNS = ("id", "prompt_sha256", "score", "contaminated")


@dataclass(frozen=True, kw_only=True)
class Result:
    """The records of one run or registered version."""

    label: str
    run: dict[str, Any]
    evaluation: dict[str, Any]
    samples: dict[str, dict[str, list[Any]]]
    """Task -> its columns `COLUMNS`, items in the task's order."""

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        return {task["task"]: task for task in self.evaluation["tasks"]}


def read(label: str, folder: Path) -> Result:
    """Raises UnknownVersion for a folder without an evaluation, NotComparable for one whose files do
    not belong together or are of an older form."""
    files = [folder / name for name in ("run.json", "evaluation.json", "samples.parquet")]
    for file in files:
        if not file.is_file():
            raise UnknownVersion(f"{file} is missing: {label} has not been trained and evaluated")
    run, evaluation = (json.loads(file.read_text(encoding="utf-8")) for file in files[:2])
    if sha256(files[2]) != evaluation["samples_sha256"]:
        raise NotComparable(
            f"{files[2]} does not match its record: it was cut or changed; evaluate {label} again"
        )
    table = pq.read_table(files[2])
    if not {"task", *COLUMNS} <= set(table.column_names) or "flops_per_item" not in evaluation:
        raise NotComparable(
            f"{folder} was written by an older version of flanmoe; evaluate {label} again"
        )
    return Result(label=label, run=run, evaluation=evaluation, samples=_by_task(table))


def _by_task(table: pa.Table) -> dict[str, dict[str, list[Any]]]:
    columns = table.select(["task", *COLUMNS]).to_pydict()
    found: dict[str, dict[str, list[Any]]] = {}
    for i, task in enumerate(columns["task"]):
        rows = found.setdefault(task, {name: [] for name in COLUMNS})
        for name in COLUMNS:
            rows[name].append(columns[name][i])
    return found
