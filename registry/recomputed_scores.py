"""Scores recomputed from the rows of samples.parquet, independent of the code that wrote them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from registry.comparison.variance_components import Floats
from registry.record_upgrades import task_weights
from registry.schemas import TaskScoreSchema


@dataclass(frozen=True, kw_only=True)
class MeanScore:
    """Mean score and its standard error."""

    accuracy: float
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class RecomputedScore:
    """Scores of a task, a suite or an evaluation, recomputed from samples."""

    num_items: int
    num_contaminated: int | None
    """None if the samples do not say which items overlap with the training mixture."""
    score: MeanScore
    random_score: float
    normalised: float
    normalised_standard_error: float
    num_clean: int
    """Items that are known not to overlap with the training mixture."""
    clean: MeanScore | None
    """Score on these items; None without any."""


def recompute_task(task: TaskScoreSchema, rows: pa.Table) -> RecomputedScore:
    """Average the rows of a task.

    Args:
        task: the task's record; only its maximum, and its random score where the rows have none,
            are used.
        rows: the task's rows, at least one.
    """
    score = mean_score(float_column(rows, "score"))
    random_score = (
        float(float_column(rows, "random_score").mean())
        if "random_score" in rows.column_names
        else task.random_score
    )
    scale = 100 / (task.maximum - random_score)
    clean = float_column(_clean_rows(rows), "score")
    return RecomputedScore(
        num_items=rows.num_rows,
        num_contaminated=_num_contaminated(rows),
        score=score,
        random_score=random_score,
        normalised=scale * (score.accuracy - random_score),
        normalised_standard_error=scale * score.standard_error,
        num_clean=len(clean),
        clean=mean_score(clean) if len(clean) else None,
    )


def weighted_average(parts: Sequence[RecomputedScore], weights: Sequence[float]) -> RecomputedScore:
    """Average independent scores; the error of the mean is the root of the weighted squares."""

    def mean(values: Sequence[float]) -> float:
        return math.fsum(w * value for w, value in zip(weights, values, strict=True))

    def error(values: Sequence[float]) -> float:
        return math.hypot(*(w * value for w, value in zip(weights, values, strict=True)))

    contaminated = [part.num_contaminated for part in parts]
    known = [count for count in contaminated if count is not None]
    return RecomputedScore(
        num_items=sum(part.num_items for part in parts),
        num_contaminated=sum(known) if len(known) == len(parts) else None,
        score=MeanScore(
            accuracy=mean([part.score.accuracy for part in parts]),
            standard_error=error([part.score.standard_error for part in parts]),
        ),
        random_score=mean([part.random_score for part in parts]),
        normalised=mean([part.normalised for part in parts]),
        normalised_standard_error=error([part.normalised_standard_error for part in parts]),
        num_clean=sum(part.num_clean for part in parts),
        clean=None,
    )


def with_clean_score(
    means: RecomputedScore, tasks: Sequence[TaskScoreSchema], parts: Sequence[RecomputedScore]
) -> RecomputedScore:
    """Add a suite's clean score; tasks without a clean item leave their weight to the others."""
    clean = [(task, part.clean) for task, part in zip(tasks, parts, strict=True) if part.clean]
    if not clean:
        return means
    weights = task_weights([{"suite": task.suite, "unit": task.unit} for task, _ in clean])
    pairs = [(share, score) for (_, share), (_, score) in zip(weights, clean, strict=True)]
    score = MeanScore(
        accuracy=math.fsum(share * score.accuracy for share, score in pairs),
        standard_error=math.hypot(*(share * score.standard_error for share, score in pairs)),
    )
    return dataclasses.replace(means, clean=score)


def mean_score(scores: Floats) -> MeanScore:
    """Compute the mean and its standard error, sample standard deviation / sqrt(n)."""
    n = len(scores)
    error = float(scores.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    return MeanScore(accuracy=float(scores.mean()), standard_error=error)


def float_column(rows: pa.Table, column: str) -> Floats:
    """Return a column as float64; missing values are NaN."""
    return np.asarray(rows[column].to_numpy(), dtype=np.float64)


def _num_contaminated(rows: pa.Table) -> int | None:
    if "contaminated" not in rows.column_names or rows["contaminated"].null_count:
        return None
    return int(pc.sum(rows["contaminated"]).as_py())


def _clean_rows(rows: pa.Table) -> pa.Table:
    if "contaminated" not in rows.column_names:
        return rows.slice(0, 0)
    return rows.filter(pc.equal(rows["contaminated"], False))
