"""The commit and the data hashes of the run record."""

import subprocess

import pytest

from models.training.run_record import data_hashes, git_commit

LOCK = """
schema: '2.0'
stages:
  pack:
    outs:
    - {path: data/packed, md5: aa.dir}
    - {path: data/uncached}
  train@base:
    outs:
    - {path: runs/base/weights, md5: bb}
"""


def git(folder, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.process
def test_git_commit_marks_changes_and_ignores_dvc_lock(tmp_path):
    assert git_commit(tmp_path) == "unknown"
    git(tmp_path, "init", "--quiet")
    for name in ("code.py", "dvc.lock"):
        (tmp_path / name).write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Add code")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "dvc.lock").write_text("2")
    assert git_commit(tmp_path) == commit
    (tmp_path / "code.py").write_text("2")
    assert git_commit(tmp_path) == f"{commit}+changes"


def test_data_hashes_lists_outputs_below_data(tmp_path):
    assert data_hashes(tmp_path) == {}
    (tmp_path / "dvc.lock").write_text(LOCK)
    assert data_hashes(tmp_path) == {"data/packed": "aa.dir"}
