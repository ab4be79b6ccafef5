"""Datasets are recorded from the files of the data stages, if they are those of the run."""

import hashlib
import json

import pytest

from registry.dataset_record import (
    has_data_version,
    parse_dataset_record,
    read_dataset_record,
)
from registry.errors import InvalidRecord
from registry.records import parse_run_record
from tests.registry.factories import SELF_TEST, dataset, edit_json, run_record

LICENCE = {"source": "cot/flan", "licence": "Apache-2.0", "terms": "open", "tasks": ["cot_aqua"]}
PASSED = {
    "suite": "cot", "expectation": "expect_column_values_to_not_be_null", "column": "uid",
    "limits": "", "mostly": 1.0, "blocking": True, "success": True, "unexpected": 0,
    "elements": 10, "observed": "10 rows",
}  # fmt: skip
WARNING = {**PASSED, "column": "share", "blocking": False, "success": False, "observed": "0.9"}
FILES = {
    "data/packed/train/manifest.json": {"version": "d1", "licences": [LICENCE]},
    "data/mixture/report.json": {"examples": 10, "mixtures": {"cot": {"share": 1.0}}},
    "data/mixture/contamination.json": {
        "sample": {"num_items": 5, "num_contaminated": 1, "tasks": {"qa": ["a"]}}
    },
    "data/mixture/self_test.json": SELF_TEST,
    "data/validation/results.json": [PASSED, WARNING],
    "data/packed/validation.json": [PASSED],
}


@pytest.fixture
def workspace(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return tmp_path


def run(**changes):
    return parse_run_record(run_record(**{"data_version": "d1", **changes}), "run")


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_record_has_reports_failures_contamination_self_test_and_licences(workspace):
    hashes = {"data/raw": "0.dir"}
    record = read_dataset_record(workspace, run(data_hashes=hashes))
    assert (record.data_version, record.corpus, record.hashes) == ("d1", "train", hashes)
    assert record.mixture == FILES["data/mixture/report.json"]
    assert record.num_expectations == 3
    (failed,) = record.failed_expectations
    assert failed.text == "cot: expect_column_values_to_not_be_null share"
    assert not failed.blocking
    assert record.contamination["sample"].num_contaminated == 1
    assert record.self_test.min_recall == SELF_TEST["min_recall"]
    assert [licence.terms for licence in record.licences] == ["open"]
    stored = json.loads(json.dumps(record.model_dump(mode="json")))
    assert parse_dataset_record(stored, "stored") == record
    assert "tasks" not in stored["contamination"]["sample"]  # ids of items


def test_data_of_another_version_is_not_recorded(workspace):
    assert read_dataset_record(workspace, run(data_version="d2")) is None
    assert read_dataset_record(workspace, run(data="prefix_lm")) is None
    assert read_dataset_record(workspace, run(data="none", data_version="none")) is None
    assert has_data_version(workspace, run())
    assert not has_data_version(workspace, run(data_version="d2"))


@pytest.mark.parametrize("file", [name for name in FILES if "self_test" not in name])
def test_missing_file_is_not_recorded(workspace, file):
    (workspace / file).unlink()
    assert read_dataset_record(workspace, run()) is None


def test_missing_self_test_is_recorded_as_none(workspace):
    (workspace / "data/mixture/self_test.json").unlink()
    assert read_dataset_record(workspace, run()).self_test is None


def test_file_that_changed_since_the_training_is_not_recorded(workspace):
    report = workspace / "data/mixture/report.json"
    trained = run(data_hashes={"data/mixture/report.json": md5(report)})
    assert read_dataset_record(workspace, trained) is not None
    edit_json(report, lambda content: content.update(examples=11))
    assert read_dataset_record(workspace, trained) is None


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("data/validation/results.json", "{"),
        ("data/validation/results.json", '[{"suite": 1}]'),
        ("data/validation/results.json", "[1]"),
        ("data/mixture/contamination.json", '{"sample": {}}'),
        ("data/mixture/contamination.json", "[]"),
        ("data/mixture/self_test.json", '{"min_recall": 2}'),
        ("data/mixture/report.json", "[]"),
        ("data/packed/train/manifest.json", "{"),
    ],
)
def test_malformed_file_is_a_single_line(workspace, file, content):
    (workspace / file).write_text(content)
    with pytest.raises(InvalidRecord) as error:
        read_dataset_record(workspace, run())
    assert len(str(error.value).splitlines()) == 1
    assert "data" in str(error.value)


def test_stored_record_of_a_newer_release_is_an_error():
    newer = {**dataset().model_dump(mode="json"), "schema_version": 2}
    with pytest.raises(InvalidRecord, match="schema_version 2 is newer than 1"):
        parse_dataset_record(newer, "dataset 'd'")
    with pytest.raises(InvalidRecord, match="dataset 'd': data_version: Field required"):
        parse_dataset_record({"schema_version": 1}, "dataset 'd'")
