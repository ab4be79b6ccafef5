"""Records that do not follow from their samples are reported, field by field."""

import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from registry.consistency import check_consistency
from registry.records import read_evaluation_record
from tests.registry.factories import (
    edit_json,
    edit_samples,
    evaluation_record,
    run_record,
    task_score,
    write_run,
    write_samples,
)

TASKS = [
    task_score("qa/a", accuracy=0.25, num_items=40, num_contaminated=4),
    task_score("qa/b", accuracy=0.6, num_items=10),
    task_score("qa/b2", accuracy=0.8, num_items=20, unit="b"),
    task_score("bbh/c", accuracy=0.5, num_items=30, num_contaminated=None),
]


@pytest.fixture
def folder(tmp_path):
    """Write a run with two suites, a unit of two tasks, contaminated and unknown items."""
    folder = tmp_path / "run"
    write_run(
        folder,
        tmp_path / "tokenizer",
        run=run_record("run"),
        evaluation=evaluation_record("run", TASKS),
    )
    return folder


def faults_of(folder):
    record = read_evaluation_record(folder / "evaluation.json")
    return check_consistency(record, folder / "samples.parquet")


def test_a_record_that_follows_from_its_samples_has_no_fault(folder):
    assert faults_of(folder) == []


def test_records_of_release_0_1_0_follow_from_their_samples(old_registry):
    for artifact in old_registry.artifacts:
        assert faults_of(artifact) == []


def edit_task(record, **changes):
    record["tasks"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            lambda r: r.update(accuracy=0.97),
            # Suite qa: the mean of the units a (0.25) and b (0.7); suite bbh: 0.5.
            f"evaluation: accuracy is 0.97 in the record, {((0.25 + 0.7) / 2 + 0.5) / 2} by the "
            "samples",
        ),
        (
            lambda r: r["suites"][0].update(accuracy=0.97),
            f"suite qa: accuracy is 0.97 in the record, {(0.25 + 0.7) / 2} by the samples",
        ),
        (
            lambda r: edit_task(r, accuracy=0.97),
            "task qa/a: accuracy is 0.97 in the record, 0.25 by the samples",
        ),
        (
            lambda r: edit_task(r, standard_error=0.001),
            "task qa/a: standard_error is 0.001 in the record, "
            f"{math.sqrt(0.25 * 0.75 / 39):.6f} by the samples",
        ),
        (
            lambda r: r.update(standard_error=0.001),
            "evaluation: standard_error is 0.001 in the record",
        ),
        (lambda r: edit_task(r, num_items=400), "task qa/a: num_items is 400 in the record, 40 by"),
        (lambda r: r.update(num_items=400), "evaluation: num_items is 400 in the record, 100 by"),
        (
            lambda r: edit_task(r, num_contaminated=0),
            "task qa/a: num_contaminated is 0 in the record, 4 by the samples",
        ),
        (
            lambda r: r["suites"][0].update(num_contaminated=0),
            "suite qa: num_contaminated is 0 in the record, 4 by the samples",
        ),
        (
            lambda r: r["tasks"][0]["clean"].update(accuracy=0.9),
            # 6 of the 36 items that do not overlap are right.
            "task qa/a, clean items: accuracy is 0.9 in the record, 0.166667 by the samples",
        ),
        (lambda r: edit_task(r, weight=0.9), "task qa/a: weight is 0.9 in the record, 0.25 by"),
        (
            lambda r: r.update(normalised=80),
            "evaluation: normalised is 80 in the record, 31.666667 by the samples",
        ),
        (
            lambda r: r.update(normalised_suites=["bbh"]),
            "evaluation: normalised is 31.666667 in the record, 33.333333 by the samples",
        ),
        (lambda r: r.update(normalised_suites=[]), "normalised_suites of the record"),
        (lambda r: r["suites"].pop(), "the suites of the record are not those of its tasks"),
        (lambda r: r["tasks"].pop(), "task bbh/c: the record lacks it, the samples have it"),
        (lambda r: r.update(samples_sha256="0" * 64), "samples.parquet does not match samples_sha"),
    ],
)
def test_an_edited_record_is_reported(folder, change, fault):
    edit_json(folder / "evaluation.json", change)
    assert any(line.startswith(fault) for line in faults_of(folder)), faults_of(folder)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda r: r.update(score=float("nan")), "task qa/a: 40 values of score are outside 0 … 1"),
        (lambda r: r.update(score=1.5), "task qa/a: 40 values of score are outside 0 … 1"),
        (lambda r: r.update(id="same"), "task qa/a: 39 items occur more than once"),
        (lambda r: r.update(score=1.0), "task qa/a: accuracy is 0.25 in the record, 1 by the"),
        (
            lambda r: r.update(task="qa/new"),
            "task qa/a: the samples have no item of it, the record",
        ),
    ],
)
def test_edited_samples_are_reported(folder, change, fault):
    edit_samples(folder, lambda row: change(row) if row["task"] == "qa/a" else None)
    assert any(line.startswith(fault) for line in faults_of(folder)), faults_of(folder)


@pytest.mark.parametrize(
    ("write", "fault"),
    [
        (lambda p: p.unlink(), "samples.parquet is missing"),
        (lambda p: p.write_bytes(b"PAR1"), "samples.parquet cannot be read as Parquet: "),
        (
            lambda p: pq.write_table(pa.table({"task": ["qa/a"], "id": ["1"]}), p),
            "samples.parquet has no column 'score'",
        ),
        (
            lambda p: pq.write_table(pa.table({"task": ["t"], "id": ["1"], "score": ["x"]}), p),
            "samples.parquet: column 'score' is of type string, expected double",
        ),
    ],
)
def test_unreadable_samples_are_a_fault(folder, write, fault):
    write(folder / "samples.parquet")
    (line,) = faults_of(folder)
    assert line.startswith(fault)


def test_rounded_scores_are_no_fault(folder):
    """Scores of thirds, rounded to 6 digits as the stage writes them."""
    scores = {"qa/a": [1.0, 0.0, 0.0], "qa/b": [1.0, 1.0, 0.0]}
    write_samples(folder / "samples.parquet", scores)
    tasks = [task_score(t, accuracy=sum(s) / 3, num_items=3) for t, s in scores.items()]
    text = json.dumps(evaluation_record("run", tasks))
    rounded = json.loads(text, parse_float=lambda digits: round(float(digits), 6))
    (folder / "evaluation.json").write_text(json.dumps(rounded))
    assert faults_of(folder) == [
        "samples.parquet does not match samples_sha256 of the evaluation record"
    ]
