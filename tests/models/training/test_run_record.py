"""The commit, the data hashes and the licences of the run record."""

import dataclasses
import json
import subprocess

import pytest

from models.training.run_record import data_hashes, data_licences, git_commit

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


CORPUS = [
    {"source": "niv2/tasks", "licence": "MIT", "terms": "open", "tasks": ["task1"]},
    {"source": "cot/flan", "licence": "Apache-2.0", "terms": "open", "tasks": ["cot_aqua"]},
]
COT = {"source": "cot/flan", "licence": "Apache-2.0", "terms": "open"}
NIV2 = {"source": "niv2/tasks", "licence": "MIT", "terms": "open"}


def licences(start, runs):
    return [dataclasses.asdict(entry) for entry in data_licences(CORPUS, start, runs)]


def test_data_licences_from_scratch_are_those_of_the_corpus(tmp_path):
    assert licences("scratch", tmp_path) == [COT, NIV2]


def test_data_licences_include_those_of_the_initial_weights(tmp_path):
    text = {"source": "text/plain", "licence": "unknown", "terms": "unstated"}
    (tmp_path / "base").mkdir()
    (tmp_path / "base/run.json").write_text(json.dumps({"licences": [text, COT]}))
    assert licences("base", tmp_path) == [COT, NIV2, text]


@pytest.mark.parametrize("record", [None, "{}", '{"licences": null}'])
def test_data_licences_of_weights_without_recorded_licences_are_unknown(tmp_path, record):
    (tmp_path / "base").mkdir()
    if record:
        (tmp_path / "base/run.json").write_text(record)
    unknown = {"source": "base", "licence": "unknown", "terms": "unstated"}
    assert licences("base", tmp_path) == [unknown, COT, NIV2]
