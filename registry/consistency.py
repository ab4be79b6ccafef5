"""Consistency of an evaluation record with the samples that it was computed from.

The scores of tasks, suites and the evaluation are recomputed from the rows of samples.parquet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from registry.errors import InvalidRecord
from registry.files import sha256
from registry.recomputed_scores import (
    MeanScore,
    RecomputedScore,
    float_column,
    mean_score,
    recompute_task,
    weighted_average,
    with_clean_score,
)
from registry.record_upgrades import task_weights
from registry.schemas import (
    EvaluationRecordSchema,
    SuiteScoreSchema,
    TaskScoreSchema,
)

TOLERANCE = 2e-6
"""Largest rounding error of a share: tasks, suites and averages are rounded to 6 digits each."""
POINTS_TOLERANCE = 2e-3
"""Largest rounding error of a normalised score: points of 100, rounded to 3 digits each time."""
_REQUIRED = ("task", "id", "score")
_OTHER_METRICS = ("exact_match", "f1")
_TYPES = {
    "task": pa.string(),
    "id": pa.string(),
    "score": pa.float64(),
    "random_score": pa.float64(),
    "exact_match": pa.float64(),
    "f1": pa.float64(),
    "contaminated": pa.bool_(),
    "flops": pa.float64(),
}


def check_consistency(record: EvaluationRecordSchema, samples: Path) -> list[str]:
    """Recompute the scores of a record from its samples.

    Args:
        record: the evaluation record.
        samples: its samples.parquet. Columns that the release which wrote it did not have are not
            checked.

    Returns:
        One line for each difference; empty if the record follows from its samples.
    """
    try:
        table = _read_samples(samples)
    except InvalidRecord as error:
        return [str(error)]
    faults = []
    if sha256(samples) != record.samples_sha256:
        faults.append(f"{samples.name} does not match samples_sha256 of the evaluation record")
    faults += _compare_tasks_and_weights(record, table)
    recomputed: dict[str, RecomputedScore] = {}
    for task in record.tasks:
        rows = table.filter(pc.equal(table["task"], task.task))
        row_faults = _check_rows(task, rows)
        faults += row_faults
        if not row_faults:
            recomputed[task.task] = recompute_task(task, rows)
            faults += _check_task(task, rows, recomputed[task.task])
    if len(recomputed) == len(record.tasks):
        faults += _check_averages(record, recomputed)
    return faults


def _read_samples(samples: Path) -> pa.Table:
    """Read the samples.

    Raises:
        InvalidRecord: the file is missing, is no Parquet file, lacks a column, or has other types.
    """
    try:
        table = pq.read_table(samples)
    except FileNotFoundError:
        raise InvalidRecord(f"{samples.name} is missing") from None
    except (pa.ArrowException, OSError) as error:
        cause = str(error).splitlines()[0]
        raise InvalidRecord(f"{samples.name} cannot be read as Parquet: {cause}") from None
    for name in _REQUIRED:
        if name not in table.column_names:
            raise InvalidRecord(f"{samples.name} has no column {name!r}")
    for index, field in enumerate(table.schema):
        expected = _TYPES.get(field.name, field.type)
        if field.type != expected:
            try:
                table = table.set_column(index, field.name, table[field.name].cast(expected))
            except pa.ArrowException:
                raise InvalidRecord(
                    f"{samples.name}: column {field.name!r} is of type {field.type}, "
                    f"expected {expected}"
                ) from None
    return table


def _compare_tasks_and_weights(record: EvaluationRecordSchema, table: pa.Table) -> Iterator[str]:
    """Compare the tasks of record and samples, and each task's weights with the averaging units."""
    names = [task.task for task in record.tasks]
    for name in sorted(set(pc.unique(table["task"]).to_pylist()) - set(names)):
        yield f"task {name}: the record lacks it, the samples have it"
    expected = task_weights([{"suite": task.suite, "unit": task.unit} for task in record.tasks])
    for task, (weight, weight_in_suite) in zip(record.tasks, expected, strict=True):
        yield from _differences(
            f"task {task.task}", task, {"weight": weight, "weight_in_suite": weight_in_suite}
        )


def _check_rows(task: TaskScoreSchema, rows: pa.Table) -> list[str]:
    """Check that a task has rows, each item once, and that every score lies in its range."""
    where = f"task {task.task}"
    if rows.num_rows == 0:
        return [f"{where}: the samples have no item of it, the record {task.num_items}"]
    faults = []
    num_ids = pc.count_distinct(rows["id"]).as_py()
    if num_ids != rows.num_rows:
        faults.append(f"{where}: {rows.num_rows - num_ids} items occur more than once")
    for column in ("score", "random_score"):
        if column in rows.column_names:
            values = float_column(rows, column)
            num_invalid = int((~((values >= 0) & (values <= task.maximum))).sum())
            if num_invalid:
                faults.append(
                    f"{where}: {num_invalid} values of {column} are outside 0 … {task.maximum:g}"
                )
            elif column == "random_score" and values.mean() >= task.maximum:
                faults.append(f"{where}: its random score is its maximum, {task.maximum:g}")
    return faults


def _check_task(task: TaskScoreSchema, rows: pa.Table, means: RecomputedScore) -> Iterator[str]:
    where = f"task {task.task}"
    yield from _differences(where, task, _expected_scores(means) | {"normalised": means.normalised})
    if "contaminated" in rows.column_names:
        if task.num_contaminated is not None:  # releases before counted none
            yield from _differences(where, task, {"num_contaminated": means.num_contaminated})
        yield from _differences(f"{where}, clean items", task.clean, _expected_clean(means))
    for name in _OTHER_METRICS:
        if name in task.other_metrics and name in rows.column_names:
            metric = mean_score(float_column(rows, name))
            yield from _differences(
                f"{where}, {name}", task.other_metrics[name], _expected_means(metric)
            )
    booleans = {field.name for field in rows.schema if pa.types.is_boolean(field.type)}
    counts = {name: pc.sum(rows[name]).as_py() for name in task.counts if name in booleans}
    yield from _differences(f"{where}, counts", task.counts, counts)
    if "flops" in rows.column_names:
        mean = pc.mean(rows["flops"]).as_py()
        yield from _differences(where, task, {"flops_per_item": mean}, tolerance=1)


def _check_averages(
    record: EvaluationRecordSchema, recomputed: Mapping[str, RecomputedScore]
) -> Iterator[str]:
    """Recompute the scores of suites and of the evaluation, with the stored weights."""
    tasks_by_suite: dict[str, list[TaskScoreSchema]] = defaultdict(list)
    for task in record.tasks:
        tasks_by_suite[task.suite].append(task)
    if sorted(tasks_by_suite) != sorted(suite.suite for suite in record.suites):
        yield "the suites of the record are not those of its tasks"
        return
    by_suite: dict[str, RecomputedScore] = {}
    for suite in record.suites:
        tasks = tasks_by_suite[suite.suite]
        members = [recomputed[task.task] for task in tasks]
        means = weighted_average(members, [task.weight_in_suite for task in tasks])
        by_suite[suite.suite] = means = with_clean_score(means, tasks, members)
        yield from _check_average(f"suite {suite.suite}", suite, means)
        if means.num_contaminated is not None:
            yield from _differences(
                f"suite {suite.suite}, clean items", suite.clean, _expected_clean(means)
            )
        for group in suite.groups:
            members = [recomputed[task.task] for task in tasks if task.group == group.group]
            if not members:
                yield f"suite {suite.suite}: no task is of group {group.group}"
                continue
            means = weighted_average(members, [1 / len(members)] * len(members))
            expected = {"num_tasks": len(members), **_expected_means(means.score)}
            yield from _differences(f"suite {suite.suite}, group {group.group}", group, expected)
    weights = [1 / len(record.suites)] * len(record.suites)
    overall = weighted_average([by_suite[suite.suite] for suite in record.suites], weights)
    normalised = [by_suite[name] for name in record.normalised_suites if name in by_suite]
    if not normalised or len(normalised) != len(record.normalised_suites):
        yield "normalised_suites of the record are not among its suites"
        return
    average = weighted_average(normalised, [1 / len(normalised)] * len(normalised))
    yield from _check_average("evaluation", record, overall, average)


def _check_average(
    where: str,
    stored: SuiteScoreSchema | EvaluationRecordSchema,
    means: RecomputedScore,
    normalised: RecomputedScore | None = None,
) -> Iterator[str]:
    normalised = normalised or means
    expected: dict[str, Any] = _expected_scores(means)
    if means.num_contaminated is not None and stored.num_contaminated is not None:
        expected["num_contaminated"] = means.num_contaminated
    yield from _differences(where, stored, expected)
    expected = {
        "normalised": normalised.normalised,
        "normalised_standard_error": normalised.normalised_standard_error,
    }
    yield from _differences(where, stored, expected)


def _expected_scores(means: RecomputedScore) -> dict[str, Any]:
    return {
        "num_items": means.num_items,
        **_expected_means(means.score),
        "random_score": means.random_score,
    }


def _expected_clean(means: RecomputedScore) -> dict[str, Any]:
    unknown = {"accuracy": None, "standard_error": None}
    return {
        "num_items": means.num_clean,
        **(unknown if means.clean is None else _expected_means(means.clean)),
    }


def _expected_means(means: MeanScore) -> dict[str, Any]:
    return {"accuracy": means.accuracy, "standard_error": means.standard_error}


def _differences(
    where: str, stored: Any, expected: Mapping[str, Any], *, tolerance: float = TOLERANCE
) -> Iterator[str]:
    """Yield a line for each stored value, of a record or a mapping, that is not as expected."""
    for name, value in expected.items():
        own = stored[name] if isinstance(stored, Mapping) else getattr(stored, name)
        limit = POINTS_TOLERANCE if name.startswith("normalised") else tolerance
        if own is None or value is None:
            is_equal = own is value
        else:
            is_equal = abs(own - value) <= limit
        if not is_equal:
            yield f"{where}: {name} is {_shown(own)} in the record, {_shown(value)} by the samples"


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")
