"""The result of a finished evaluation: its records and the scores of its items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from registry.errors import NotComparable, UnknownVersion
from registry.files import sha256
from registry.records import read_evaluation_record, read_run_record
from registry.schemas import (
    EvaluationRecordSchema,
    RunRecordSchema,
    SuiteScoreSchema,
    TaskScoreSchema,
)

COLUMNS = ("task", "id", "prompt_sha256", "score", "contaminated")
CLUSTER_COLUMN = "cluster"
"""Column of samples.parquet that release 0.1.0 did not write."""


@dataclass(frozen=True, kw_only=True)
class ItemScores:
    """Items of one task, column by column, in the task's order."""

    ids: tuple[str, ...]
    prompt_sha256: tuple[str, ...]
    scores: tuple[float, ...]
    contaminated: tuple[bool | None, ...]
    """Whether the item overlaps with the training mixture; None if that is unknown."""
    clusters: tuple[str | None, ...]
    """Id that items of one passage, problem or family share, in every task; None for an item of its
    own, and in samples of release 0.1.0."""

    def sort_by_id(self) -> ItemScores:
        """Return the items in order of their ids."""
        order = sorted(range(len(self.ids)), key=self.ids.__getitem__)
        columns = {name: tuple(values[i] for i in order) for name, values in vars(self).items()}
        return ItemScores(**columns)


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """Records and item scores of a run or registered version."""

    label: str
    """Name by which the user refers to it."""
    run: RunRecordSchema
    evaluation: EvaluationRecordSchema
    item_scores: dict[str, ItemScores]
    """By task."""

    @cached_property
    def tasks(self) -> dict[str, TaskScoreSchema]:
        """Scores by task."""
        return {task.task: task for task in self.evaluation.tasks}

    @cached_property
    def suites(self) -> dict[str, SuiteScoreSchema]:
        """Scores by suite."""
        return {suite.suite: suite for suite in self.evaluation.suites}


Evaluations = Sequence[EvaluationResult]
"""Evaluations of one model, one per seed."""


def name_model(results: Evaluations) -> str:
    """Return the label of a model's evaluation; of several, the run and the number of seeds."""
    return (
        results[0].label if len(results) == 1 else f"{results[0].run.name} ({len(results)} seeds)"
    )


def read_result(label: str, folder: Path) -> EvaluationResult:
    """Read the records and samples of a finished evaluation.

    Args:
        label: name for reports and error messages.
        folder: runs/NAME/seed_N, or the artifact folder of a registered version.

    Raises:
        UnknownVersion: a file is missing.
        InvalidRecord: a record is malformed.
        NotComparable: samples.parquet does not match evaluation.json.
    """
    run_file, evaluation_file, samples_file = files = [
        folder / name for name in ("run.json", "evaluation.json", "samples.parquet")
    ]
    for file in files:
        if not file.is_file():
            raise UnknownVersion(f"{file} is missing: train and evaluate {label} first")
    evaluation = read_evaluation_record(evaluation_file)
    if sha256(samples_file) != evaluation.samples_sha256:
        raise NotComparable(
            f"{samples_file} does not match the checksum in evaluation.json, so it is truncated or "
            f"changed; evaluate {label} again"
        )
    return EvaluationResult(
        label=label,
        run=read_run_record(run_file),
        evaluation=evaluation,
        item_scores=read_item_scores(samples_file, label),
    )


def read_item_scores(file: Path, label: str) -> dict[str, ItemScores]:
    """Read the item scores of samples.parquet by task.

    Args:
        file: the samples.
        label: name for error messages.

    Raises:
        NotComparable: a column is missing.
    """
    names = set(pq.read_schema(file).names)
    missing = sorted(set(COLUMNS) - names)
    if missing:
        raise NotComparable(
            f"{file} has no column {missing[0]!r}, so an older version of flanmoe wrote it; "
            f"evaluate {label} again"
        )
    table: pa.Table = pq.read_table(file, columns=[*COLUMNS, *({CLUSTER_COLUMN} & names)])
    if CLUSTER_COLUMN not in names:
        table = table.append_column(CLUSTER_COLUMN, pa.nulls(table.num_rows))
    task_column = table["task"].combine_chunks().dictionary_encode()
    tasks, task_N = task_column.dictionary.to_pylist(), task_column.indices.to_numpy()
    ends = np.cumsum(np.bincount(task_N)).tolist()
    rows = np.argsort(task_N, kind="stable")
    ids, prompts, scores, contaminated, clusters = (
        table[name].take(rows).to_pylist() for name in (*COLUMNS[1:], CLUSTER_COLUMN)
    )
    return {
        task: ItemScores(
            ids=tuple(ids[start:end]),
            prompt_sha256=tuple(prompts[start:end]),
            scores=tuple(scores[start:end]),
            contaminated=tuple(contaminated[start:end]),
            clusters=tuple(clusters[start:end]),
        )
        for task, start, end in zip(tasks, [0, *ends[:-1]], ends, strict=True)
    }
