"""The project folder, and workspaces: folders in which the same pipeline runs on other parameters.

The project folder is the default workspace. Any other workspace is a separate DVC repository that
shares the project's code and the content of its DVC cache (`cache_links`), so two sets of
parameters never overwrite each other's data, runs or dvc.lock. A workspace inside the project names
the project's files relative to itself: a moved project still works, and a copy does not use the
original.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from flows.errors import FlowError, NotInProject, WorkspaceBusy
from flows.runtime.code_digest import package_root
from models.training.params import SCRATCH

STATE = Path(".flanmoe")
WORKSPACES = STATE / "workspaces"


def find_project() -> Path:
    """Return the nearest folder, from the current one upwards, with dvc.yaml and params.yaml.

    Raises:
        NotInProject: there is none.
    """
    current = Path.cwd()
    for folder in (current, *current.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "params.yaml").is_file():
            return folder
    raise NotInProject(f"{current} is not inside a flanmoe project: no dvc.yaml with a params.yaml")


def project_of(workspace: Path) -> Path:
    """Return the project whose code a workspace uses; for the project folder, itself.

    Raises:
        NotInProject: the project is not where the workspace expects it.
    """
    enclosing = workspace.parent.parent.parent
    if workspace.parent == enclosing / WORKSPACES and (enclosing / "dvc.yaml").is_file():
        return enclosing
    marker = workspace / STATE / "home"
    if not marker.is_file():
        return workspace
    recorded = marker.read_text(encoding="utf-8").strip()
    project = Path(os.path.normpath(workspace / recorded))
    if not (project / "dvc.yaml").is_file():
        raise NotInProject(
            f"{marker}: project {project} is missing; run `flanmoe run --workspace {workspace}` in "
            "the folder that the project was moved to"
        )
    return project


def code_mismatch(project: Path) -> str | None:
    """Return a warning if the project has code of its own, and other code is running.

    A virtual environment names its project by its path: in a copied project the copied environment
    runs the code of the original.
    """
    running = package_root().resolve()
    if not (project / "flows" / "cli.py").is_file() or running == project.resolve():
        return None
    return (
        f"{project}: this command runs the code in {running}, not the project's own; in a copied "
        "or moved project, delete .venv and run make install"
    )


def prepare_workspace(project: Path, workspace: Path, params: dict[str, Any]) -> Path:
    """Create or update a workspace and return it.

    Args:
        project: the project whose dvc.yaml and imported weights the workspace uses.
        workspace: the folder; it need not exist.
        params: parameters to write to its params.yaml.
    """
    state = workspace / STATE
    state.mkdir(parents=True, exist_ok=True)
    (state / "home").write_text(f"{_reference(project, workspace, project)}\n", encoding="utf-8")
    scratch = Path("runs/scratch/weights")
    shutil.copytree(project / scratch, workspace / scratch, dirs_exist_ok=True)
    for folder in _imported_weights(params, project):
        link = workspace / "runs" / folder.name
        if link.is_symlink():  # it may lead to the project that this one was copied from
            link.unlink()
        if not link.exists():
            target = _reference(folder, link.parent, project)
            link.symlink_to(target, target_is_directory=True)
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copyfile(project / name, workspace / name)
    # Relative paths in the parameters refer to the project, not to the workspace.
    text = yaml.safe_dump(_with_references(params, project, workspace), sort_keys=False)
    _replace(workspace / "params.yaml", text)
    if not (workspace / ".dvc").is_dir():
        _dvc(workspace, "init", "-q", "--no-scm")
        _dvc(workspace, "config", "core.analytics", "false")
    return workspace


@contextmanager
def workspace_lock(workspace: Path) -> Iterator[None]:
    """Lock a workspace for this process; the operating system releases the lock at its end.

    Raises:
        WorkspaceBusy: another process holds the lock.
    """
    path = workspace / STATE / "run.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise WorkspaceBusy(
                f"another run (process {file.read().strip()}) works in {workspace}; wait for it, "
                "or choose another folder with --workspace"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _with_references(params: dict[str, Any], project: Path, workspace: Path) -> dict[str, Any]:
    data = params.get("data_pipelines", {})
    for section, key in (("fetch", "root"), ("fetch", "catalog"), ("tokenizer", "model_file")):
        value = data.get(section, {}).get(key)
        if value and "://" not in value:  # URLs stay as they are
            data[section][key] = _reference((project / value).resolve(), workspace, project)
    return params


def _reference(path: Path, start: Path, project: Path) -> str:
    """Return a path relative to `start` if both are inside the project, else the absolute path."""
    path, start, project = path.absolute(), start.absolute(), project.absolute()
    if path.is_relative_to(project) and start.is_relative_to(project):
        return os.path.relpath(path, start)
    return str(path)


def _imported_weights(params: dict[str, Any], project: Path) -> list[Path]:
    """Return the folders in runs/ from which runs start and that no run of the params creates."""
    runs = params.get("models", {}).get("runs", {})
    starts = {run["start"] for run in runs.values()} - set(runs)
    folders = [project / "runs" / start for start in sorted(starts)]
    return [folder for folder in folders if folder.name != SCRATCH and folder.is_dir()]


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _dvc(workspace: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "dvc", *arguments]
    result = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    if result.returncode:
        raise FlowError(f"{workspace}: dvc {' '.join(arguments)} failed: {result.stderr.strip()}")
