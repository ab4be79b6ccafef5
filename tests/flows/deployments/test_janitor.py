"""The janitor: every step runs, each problem is reported, and nothing in use is deleted."""

import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.deployments import janitor as janitor_module
from flows.deployments.janitor import PARTIAL_AGE_S, janitor
from flows.errors import LockRefused
from flows.runtime.cache_gc import collect_garbage
from flows.runtime.cache_links import link_content
from registry import approvals
from registry.database_url import file_url
from registry.session import open_engine
from tests.flows.deployments.factories import MODEL, project_with_versions, registry_of

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def prefect_api(prefect_server):
    """Run the flows of this process on the shared Prefect server."""
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):
        yield


def test_janitor_backs_up_expires_and_deletes_old_partial_files(prefect_api, tmp_path, monkeypatch):
    project = project_with_versions(tmp_path / "p", 0.5, 0.7)
    registry = registry_of(project)
    registry.approvals.request(MODEL, 2, actor="flow", valid_for=timedelta(hours=1))
    now = approvals.utc_now()
    monkeypatch.setattr(approvals, "utc_now", lambda: now + timedelta(hours=2))
    old, new = (project.folder / "data" / f"{name}.partial" for name in ("old", "new"))
    old.mkdir(parents=True)
    (old / "rows").write_text("half")
    new.write_text("being written")
    os.utime(old, (time.time() - 2 * PARTIAL_AGE_S,) * 2)

    state = janitor(project.folder, collect_cache=False, min_free_gb=0, return_state=True)
    assert (state.type.value, state.message) == ("COMPLETED", "nothing to report")
    assert not old.exists()
    assert new.exists()
    assert [a.state for a in registry.approvals.list()] == ["expired"]
    (backup,) = (project.folder / ".flanmoe" / "backups").glob("registry-*.db")
    engine = open_engine(file_url(backup), create=False)
    copy = type(registry)(engine, registry.artifacts, registry.policy_path)
    assert [v.version for v in copy.versions(MODEL)] == [1, 2]


def test_janitor_reports_every_problem_and_backs_up_all_the_same(
    prefect_api, tmp_path, monkeypatch
):
    project = project_with_versions(tmp_path / "p", 0.5)
    registry = registry_of(project)
    (version,) = registry.versions()
    path = registry.artifacts.file(version.artifact, "weights/model.safetensors")
    path.chmod(0o644)
    path.write_bytes(b"zeroed")

    def busy(*_, **__):
        raise LockRefused("a stage is running; collect later")

    monkeypatch.setattr(janitor_module, "collect_garbage", busy)
    state = janitor(project.folder, min_free_gb=1e9, return_state=True)
    assert state.type.value == "FAILED"
    assert "version 1 of" in state.message
    assert "model.safetensors" in state.message
    assert "GiB free, less than 1e+09" in state.message
    assert "a stage is running" in state.message
    assert list((project.folder / ".flanmoe" / "backups").glob("registry-*.db"))


@pytest.fixture
def dvc_project(tmp_path):
    """A project with a workspace; in each an output in use, and outputs that no file names."""
    project = project_with_versions(tmp_path / "p ü", 0.5)
    folder, workspace = project.folder, project.folder / ".flanmoe" / "workspaces" / "trial"
    dvc(folder, "init", "--no-scm", "-q")
    (folder / "dvc.yaml").unlink()  # its stages have not run
    workspace.mkdir(parents=True)
    dvc(workspace, "init", "--no-scm", "-q")
    outputs = {}
    for repository, name in (
        (folder, "used"), (folder, "version"), (folder, "unused"),
        (workspace, "workspace"), (workspace, "old"),
    ):  # fmt: skip
        (repository / name).mkdir()
        (repository / name / "rows").write_text(name)
        dvc(repository, "add", "-q", name)
        outputs[name] = yaml.safe_load((repository / f"{name}.dvc").read_text())["outs"][0]["md5"]
        if name in ("version", "unused", "old"):
            (repository / f"{name}.dvc").unlink()
    link_content(workspace / ".dvc" / "cache", folder / ".dvc" / "cache")
    return project, outputs


def dvc(folder, *words):
    subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, check=True)


def objects(folder):
    """Return the objects of the cache of a DVC repository."""
    cache = folder / ".dvc" / "cache" / "files" / "md5"
    return {path.parent.name + path.name for path in cache.glob("??/*")}


def test_collect_garbage_protects_workspaces_and_the_data_of_versions(dvc_project, monkeypatch):
    project, outputs = dvc_project
    workspace = project.folder / ".flanmoe" / "workspaces" / "trial"
    registry = registry_of(project)
    (version,) = registry.versions()
    version.run_record.data_hashes.update({"out": outputs["version"], "lost": "0" * 32})
    monkeypatch.setattr(type(registry), "versions", lambda self: [version])
    before = objects(project.folder), objects(workspace)
    report = collect_garbage(project.folder, registry, dry_run=True)
    assert "0.0 MiB freed in the project and 1 workspaces; 2 outputs" in report
    assert (objects(project.folder), objects(workspace)) == before
    collect_garbage(project.folder, registry)
    # Each output is a folder with a file, and both are objects.
    assert len(objects(project.folder)) == 4
    assert {outputs["used"], outputs["version"]} <= objects(project.folder)
    assert len(objects(workspace)) == 2
    assert outputs["workspace"] in objects(workspace)
    (project.folder / "used" / "rows").unlink()
    dvc(project.folder, "checkout", "-q", "used.dvc")
    assert (project.folder / "used" / "rows").read_text() == "used"
