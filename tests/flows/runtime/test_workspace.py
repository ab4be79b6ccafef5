"""The project folder, workspaces and their lock."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.errors import FlowError, NotInProject, WorkspaceBusy
from flows.runtime.workspace import find_project, prepare_workspace, project_of, workspace_lock


@pytest.fixture
def project(tmp_path):
    """A minimal project with imported weights."""
    folder = tmp_path / "job%2F a?b#c ü"
    for weights in ("scratch", "imported", "unused"):
        (folder / "runs" / weights / "weights").mkdir(parents=True)
    (folder / "runs" / "scratch" / "weights" / ".gitkeep").touch()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    (folder / ".dvcignore").touch()
    (folder / "params.yaml").write_text("{}\n")
    return folder


def params():
    """Return params with two runs, one of which starts from imported weights."""
    return {
        "data_pipelines": {
            "fetch": {"root": "files", "catalog": "https://example.org/catalog.yaml"},
            "tokenizer": {"model_file": ""},
        },
        "models": {
            "runs": {"a": {"start": "imported"}, "b": {"start": "a"}, "c": {"start": "scratch"}}
        },
    }


def test_find_project_searches_upwards(project, monkeypatch):
    monkeypatch.chdir(project / "runs" / "scratch")
    assert find_project() == project


def test_find_project_outside_a_project_is_rejected(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotInProject, match="not inside a flanmoe project"):
        find_project()


def test_project_of_the_project_is_itself(project):
    assert project_of(project) == project


@pytest.mark.process
def test_prepare_workspace_links_weights_and_makes_paths_absolute(project, tmp_path):
    workspace = prepare_workspace(project, tmp_path / "workspace", params())
    assert project_of(workspace) == project
    assert (workspace / "runs" / "imported").resolve() == project / "runs" / "imported"
    assert not (workspace / "runs" / "unused").exists()
    assert (workspace / "runs" / "scratch" / "weights").is_dir()
    written = yaml.safe_load((workspace / "params.yaml").read_text())
    data = written["data_pipelines"]
    assert data["fetch"] == {
        "root": str(project / "files"), "catalog": "https://example.org/catalog.yaml",
    }  # fmt: skip
    assert data["tokenizer"]["model_file"] == ""
    assert (workspace / ".dvc" / "cache").resolve() == project / ".dvc" / "cache"
    # A second call updates the parameters.
    changed = params() | {"flows": {"retries": 1}}
    prepare_workspace(project, workspace, changed)
    assert yaml.safe_load((workspace / "params.yaml").read_text())["flows"] == {"retries": 1}


@pytest.mark.process
def test_prepare_workspace_in_a_folder_dvc_rejects_is_an_error_line(project, tmp_path):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / ".dvc").touch()
    with pytest.raises(FlowError, match="dvc init -q --no-scm failed"):
        prepare_workspace(project, workspace, params())


@pytest.mark.process
def test_workspace_lock_of_another_process_is_rejected_until_it_ends(tmp_path):
    (tmp_path / ".flanmoe").mkdir()
    holder = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("lock_workspace.py")), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(WorkspaceBusy, match=f"process {holder.pid}"), workspace_lock(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait(10)
    with workspace_lock(tmp_path):
        pass
