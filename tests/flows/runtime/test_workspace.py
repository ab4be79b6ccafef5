"""The project folder, workspaces and their lock."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.errors import FlowError, NotInProject, WorkspaceBusy
from flows.runtime.workspace import (
    code_mismatch,
    find_project,
    prepare_workspace,
    project_of,
    workspace_lock,
)
from tests.factories import ROOT


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
    assert not (workspace / ".dvc" / "cache").is_symlink()
    # A second call updates the parameters.
    changed = params() | {"flows": {"retries": 1}}
    prepare_workspace(project, workspace, changed)
    assert yaml.safe_load((workspace / "params.yaml").read_text())["flows"] == {"retries": 1}


@pytest.mark.process
def test_workspace_in_a_moved_or_copied_project_belongs_to_that_project(project, tmp_path):
    """By its place, and by a relative reference where it lies elsewhere in the project."""
    (project / "files").mkdir()
    names = [".flanmoe/workspaces/a", "trial"]
    for name in names:
        prepare_workspace(project, project / name, params())
    copy, moved = tmp_path / "copy", tmp_path / "moved"
    shutil.copytree(project, copy, symlinks=True)
    project.rename(moved)
    for root in (copy, moved):
        for name in names:
            workspace = root / name
            assert project_of(workspace) == root
            assert (workspace / "runs" / "imported").resolve() == root / "runs" / "imported"
            written = yaml.safe_load((workspace / "params.yaml").read_text())
            files = workspace / written["data_pipelines"]["fetch"]["root"]
            assert files.resolve() == root / "files"


@pytest.mark.process
def test_workspace_outside_a_moved_project_is_named_and_repaired(project, tmp_path):
    workspace = prepare_workspace(project, tmp_path / "workspace", params())
    moved = tmp_path / "moved"
    project.rename(moved)
    with pytest.raises(NotInProject, match=r"is missing; run `flanmoe run --workspace "):
        project_of(workspace)
    prepare_workspace(moved, workspace, params())
    assert project_of(workspace) == moved
    assert (workspace / "runs" / "imported").resolve() == moved / "runs" / "imported"


def test_code_mismatch_names_both_folders_only_if_the_project_has_other_code(project):
    assert code_mismatch(ROOT) is None
    assert code_mismatch(project) is None  # a project without code of its own
    (project / "flows").mkdir()
    (project / "flows" / "cli.py").touch()
    message = code_mismatch(project)
    assert message.startswith(f"{project}: this command runs the code in {ROOT}")
    assert "delete .venv and run make install" in message


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
