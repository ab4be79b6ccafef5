"""Where the project is, and workspaces: folders in which the same pipeline runs on other params.

The project folder is itself the usual workspace. Another one is a DVC repository of its own that
borrows the code by symbolic links and shares the cache, so two sets of params never overwrite
each other's data, runs or dvc.lock.
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

from flows.errors import FlowError, NoProject, WorkspaceBusy
from models.training.params import SCRATCH

STATE = Path(".flanmoe")


def find() -> Path:
    """The nearest folder, from here upwards, with dvc.yaml and params.yaml. Raises NoProject."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "params.yaml").is_file():
            return folder
    raise NoProject(f"{here} is not inside a flanmoe project: no dvc.yaml with a params.yaml")


def home(workspace: Path) -> Path:
    """The project a workspace borrows its code from; a project is its own."""
    marker = workspace / STATE / "home"
    return Path(marker.read_text(encoding="utf-8").strip()) if marker.is_file() else workspace


def override(data: dict[str, Any], assignments: tuple[str, ...]) -> dict[str, Any]:
    """The params with each `path.to.key=value` set; values are read as YAML."""
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not equals or not path:
            raise FlowError(f"--set {assignment!r}: write it as path.to.key=value")
        *folders, key = path.split(".")
        place = data
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise FlowError(f"--set {assignment!r}: {folder} is a value, it has no keys")
        place[key] = yaml.safe_load(value)
    return data


def prepare(project: Path, workspace: Path, params: dict[str, Any]) -> Path:
    """Makes or updates a workspace: dvc.yaml of the project, these params, links to the code."""
    state = workspace / STATE
    state.mkdir(parents=True, exist_ok=True)
    (state / "home").write_text(f"{project}\n", encoding="utf-8")
    scratch = Path("runs/scratch/weights")
    shutil.copytree(project / scratch, workspace / scratch, dirs_exist_ok=True)
    for brought in _brought(params, project):
        link = workspace / "runs" / brought.name
        if not link.exists():
            link.symlink_to(brought, target_is_directory=True)
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copyfile(project / name, workspace / name)
    # Paths in params mean the project's folder wherever the workspace lies.
    text = yaml.safe_dump(_absolute(params, project), sort_keys=False)
    _replace(workspace / "params.yaml", text)
    if not (workspace / ".dvc").is_dir():
        _dvc(workspace, "init", "-q", "--no-scm")
        _dvc(workspace, "config", "core.analytics", "false")
        _dvc(workspace, "cache", "dir", str(project / ".dvc" / "cache"))
    return workspace


@contextmanager
def alone(workspace: Path) -> Iterator[None]:
    """Holds the workspace; the lock goes with the process. Raises WorkspaceBusy."""
    path = workspace / STATE / "run.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise WorkspaceBusy(
                f"another run (process {file.read().strip()}) works in {workspace}; wait for it, "
                "or give this one its own with --workspace"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _absolute(params: dict[str, Any], project: Path) -> dict[str, Any]:
    data = params.get("data_pipelines", {})
    for section, key in (("fetch", "root"), ("fetch", "catalog"), ("tokenizer", "model_file")):
        value = data.get(section, {}).get(key)
        if value and "://" not in value:  # a URL means the same everywhere
            data[section][key] = str((project / value).resolve())
    return params


def _brought(params: dict[str, Any], project: Path) -> list[Path]:
    """Folders of weights that no run makes, imported ones, which runs start from."""
    runs = params.get("models", {}).get("runs", {})
    starts = {run["start"] for run in runs.values()} - set(runs)
    folders = [project / "runs" / start for start in sorted(starts)]
    return [folder for folder in folders if folder.name != SCRATCH and folder.is_dir()]


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _dvc(workspace: Path, *words: str) -> None:
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FlowError(f"{workspace}: dvc {' '.join(words)} failed: {done.stderr.strip()}")
