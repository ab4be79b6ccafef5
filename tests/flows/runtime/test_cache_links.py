"""DVC caches of project and workspaces: shared content, separate garbage collection."""

import shutil
import subprocess
import sys

import pytest

from flows.runtime import cache_links
from flows.runtime.cache_links import cache_folder, link_content, shared_cache
from flows.runtime.workspace import prepare_workspace

DVC_YAML = """\
stages:
  text:
    cmd: cp params.yaml text && echo ran >> runs.log
    deps: [params.yaml]
    outs: [text]
"""


def dvc(folder, *words):
    """Run DVC in a folder."""
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def num_executions(folder):
    log = folder / "runs.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def project(tmp_path):
    """A project with a stage that copies its parameters."""
    folder = tmp_path / "project"
    (folder / "runs" / "scratch" / "weights").mkdir(parents=True)
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / ".dvcignore").write_text(".flanmoe\n")
    (folder / "params.yaml").write_text("seed: 1\n")
    return folder


@pytest.mark.process
def test_dvc_gc_in_the_project_leaves_the_caches_of_its_workspaces(project):
    """Real DVC: a stage is restored from the other's cache, and from one's own after gc."""
    dvc(project, "init", "-q", "--no-scm")
    dvc(project, "repro")
    workspace = prepare_workspace(project, project / ".flanmoe" / "workspaces" / "a", {"seed": 1})
    with shared_cache(project, workspace):
        dvc(workspace, "repro")
    assert num_executions(workspace) == 0  # the project's cache has the result

    prepare_workspace(project, workspace, {"seed": 2})
    with shared_cache(project, workspace):
        dvc(workspace, "repro")
    assert num_executions(workspace) == 1

    dvc(project, "gc", "-w", "-f")  # deletes what only the workspace uses
    (workspace / "text").unlink()
    dvc(workspace, "checkout")
    assert (workspace / "text").read_text() == "seed: 2\n"
    dvc(workspace, "gc", "-w", "-f")
    (project / "text").unlink()
    dvc(project, "checkout")
    assert (project / "text").read_text() == "seed: 1\n"


@pytest.mark.process
def test_cache_folder_follows_the_configuration(project, tmp_path):
    dvc(project, "init", "-q", "--no-scm")
    assert cache_folder(project) == project / ".dvc" / "cache"
    dvc(project, "cache", "dir", "--local", str(tmp_path / "elsewhere"))
    assert cache_folder(project) == tmp_path / "elsewhere"


def test_shared_cache_of_the_project_itself_does_nothing(tmp_path):
    with shared_cache(tmp_path, tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_shared_cache_replaces_the_link_of_an_earlier_release(project, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_links, "cache_folder", lambda folder: folder / ".dvc" / "cache")
    content = project / ".dvc" / "cache" / "files" / "md5" / "00" / "1"
    content.parent.mkdir(parents=True)
    content.write_text("x")
    workspace = tmp_path / "workspace"
    (workspace / ".dvc").mkdir(parents=True)
    (workspace / ".dvc" / "cache").symlink_to(project / ".dvc" / "cache")
    with shared_cache(project, workspace):
        own = workspace / ".dvc" / "cache" / "files" / "md5" / "00" / "1"
        assert own.samefile(content)
        assert not (workspace / ".dvc" / "cache").is_symlink()
        (own.parent / "2").write_text("y")
    assert (content.parent / "2").read_text() == "y"
    shutil.rmtree(workspace)
    assert content.read_text() == "x"


def test_link_content_skips_files_in_progress_and_content_that_is_present(tmp_path):
    source, target = tmp_path / "source" / "00", tmp_path / "target" / "00"
    source.mkdir(parents=True)
    target.mkdir(parents=True)
    (source / ".part.tmp").touch()
    (source / "1").write_text("source")
    (target / "1").write_text("target")
    link_content(tmp_path / "source", tmp_path / "target")
    assert [path.name for path in target.iterdir()] == ["1"]
    assert (target / "1").read_text() == "target"


def test_link_content_to_another_file_system_shares_nothing(tmp_path, monkeypatch):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1").touch()

    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(cache_links.os, "link", refuse)
    link_content(tmp_path / "source", tmp_path / "target")
    assert not list((tmp_path / "target").iterdir())
