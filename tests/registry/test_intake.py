"""Submissions with missing, truncated or changed files are rejected; the error names the file."""

import json

import pytest

from registry.errors import InvalidRecord
from registry.intake import read_submission
from tests.registry.factories import edit_json, speed_record


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("run.json", lambda p: p.unlink(), "run.json is missing"),
        ("run.json", lambda p: p.write_text("{"), "run.json is not JSON"),
        ("run.json", lambda p: p.write_text("[]"), "run.json: expected a JSON object, found list"),
        ("run.json", lambda p: edit_json(p, lambda r: r.update(seed="x")), "run.json: seed:"),
        ("run.json", lambda p: edit_json(p, lambda r: r.pop("world_size")),
         "run.json: world_size: Field required"),
        ("run.json", lambda p: edit_json(p, lambda r: r.update(schema_version=3)),
         "run.json: schema_version 3 is newer than 2"),
        ("run.json", lambda p: edit_json(p, lambda r: r.pop("schema_version")), "schema_version"),
        ("evaluation.json", lambda p: edit_json(p, lambda r: r.update(accuracy=1.6)),
         "evaluation.json: accuracy:"),
        ("evaluation.json", lambda p: edit_json(p, lambda r: r.update(weights_sha256="0" * 64)),
         "of other weights"),
        ("weights/model.safetensors", lambda p: p.write_bytes(b"r"), "does not match the checksum"),
        ("weights/model.safetensors", lambda p: p.unlink(), "model.safetensors is missing"),
        ("samples.parquet", lambda p: p.write_bytes(b""), "does not match the checksum"),
        ("execution.json", lambda p: p.write_text("{"), "execution.json is not JSON"),
        ("execution.json", lambda p: edit_json(p, lambda r: r.update(mfu=-1)),
         "execution.json: mfu:"),
        ("speed.json", lambda p: p.write_text("{"), "speed.json is not JSON"),
        ("speed.json", lambda p: p.write_text(json.dumps(speed_record(threads=0))),
         "speed.json: threads:"),
    ],
)  # fmt: skip
def test_read_submission_damaged_file_is_rejected(submit, file, change, message):
    submission = submit()
    change(submission.folder / file)
    with pytest.raises(InvalidRecord, match=message):
        read_submission(submission.folder, submission.tokenizer)


def test_read_submission_measured_speed_is_optional(submit):
    submission = submit()
    assert submission.speed is None
    speed = speed_record(0.25, weights_sha256=submission.run.weights_sha256)
    (submission.folder / "speed.json").write_text(json.dumps(speed))
    measured = read_submission(submission.folder, submission.tokenizer)
    assert measured.speed.seconds_per_item == 0.25


def test_read_submission_ignores_measurements_of_other_weights(submit):
    """The folder had another result, which `dvc checkout` has replaced."""
    submission = submit()
    assert submission.run.training_seconds == 3.5
    assert submission.run.git_commit == "abc"
    (submission.folder / "speed.json").write_text(json.dumps(speed_record(0.25)))
    edit_json(submission.folder / "execution.json", lambda r: r.update(weights_sha256="5" * 64))
    other = read_submission(submission.folder, submission.tokenizer)
    assert other.speed is None
    assert other.run.training_seconds is None
    assert other.run.git_commit == "unknown"


def test_read_submission_in_a_clone_has_no_execution_record(submit, registry):
    submission = submit()
    (submission.folder / "execution.json").unlink()
    cloned = read_submission(submission.folder, submission.tokenizer)
    assert cloned.run.mfu is None
    assert registry.register("m", cloned).run_record.training_seconds is None


def test_read_submission_speed_of_release_0_1_0_is_ignored(submit):
    """It timed one pass, whatever else ran."""
    submission = submit()
    old = {"items": 20, "seconds": 5.0, "seconds_per_item": 0.25, "workers": 2, "threads": 1}
    (submission.folder / "speed.json").write_text(json.dumps(old))
    assert read_submission(submission.folder, submission.tokenizer).speed is None
