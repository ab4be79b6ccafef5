"""The commit and the measurements of a training."""

import subprocess

import pytest
import torch

from models.training.execution_record import execution_record, git_commit
from models.training.result import Progress


def git(folder, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.process
def test_git_commit_marks_changes_and_ignores_results(tmp_path):
    assert git_commit(tmp_path) == "unknown"
    git(tmp_path, "init", "--quiet")
    results = ("dvc.lock", "runs/base/scores.json", "data/mixture/metrics.json")
    for name in ("code.py", *results):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Add code")
    commit = git(tmp_path, "rev-parse", "HEAD")
    for name in results:
        (tmp_path / name).write_text("2")
    assert git_commit(tmp_path) == commit
    (tmp_path / "code.py").write_text("2")
    assert git_commit(tmp_path) == f"{commit}+changes"


def test_execution_record_mfu_is_over_the_peak_of_all_ranks():
    progress = Progress(step=20, seconds=4.0, resumed_from_step=10)
    record = execution_record(
        progress, weights_sha256="1", training_flops=8e9, peak_flops=2e9, commit="c",
        device=torch.device("cpu"), world_size=2,
    )  # fmt: skip
    assert (record.training_seconds, record.flops_per_second, record.mfu) == (4.0, 2e9, 0.5)
    assert (record.device, record.resumed_from_step) == ("cpu", 10)
    assert record.processor
