"""The deployment `janitor`: clean up and check what runs leave behind; back up the registry."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Failed
from pydantic import Field

from flows.config.load import load_params
from flows.deployments.resume import resume_promotion
from flows.runtime.cache_gc import collect_garbage
from flows.runtime.project_policy import open_project_registry
from flows.runtime.run_closing import close_abandoned_runs
from flows.runtime.workspace import STATE, WORKSPACES, project_of
from registry.approvals import ApprovalState
from registry.backup import back_up
from registry.store import Registry

GIB = 2**30
PARTIAL_AGE_S = 24 * 3600.0
"""A partial file that was not written for this time belongs to no living process."""


@flow(name="janitor", persist_result=False)
def janitor(
    workspace: Path,
    min_free_gb: Annotated[float, Field(ge=0)] = 5.0,
    keep_backups: Annotated[int, Field(ge=1, le=10_000)] = 48,
    collect_cache: bool = True,
) -> State[Any]:
    """Close abandoned runs and due approvals, delete what is left over, verify and back up.

    Every step runs, also after one has failed.

    Args:
        workspace: folder with params.yaml, of the project or one of its workspaces.
        min_free_gb: free space in GiB below which the run fails, so that an alert is sent.
        keep_backups: number of back-ups of the registry to keep.
        collect_cache: whether to delete what no workspace and no registered version uses from
            DVC's cache.

    Returns:
        Completed, or Failed with the problems.
    """
    project = project_of(workspace.resolve())
    steps: list[Any] = [
        close_runs.submit(project),
        close_approvals.submit(project),
        delete_partial_files.submit(project),
        check_disk.submit(project, min_free_gb),
        verify_registry.submit(project),
        back_up_registry.submit(project, keep_backups),
    ]
    if collect_cache:
        steps.insert(3, collect_dvc_cache.submit(project))
    problems: list[str] = []
    for step in steps:
        step.wait()
        state = step.state
        problems += state.result() if state.is_completed() else [str(state.message or state.name)]
    if problems:
        return Failed(message="; ".join(problems))
    return Completed(message="nothing to report")


@task(cache_policy=NO_CACHE, persist_result=False)
def close_runs(project: Path) -> list[str]:
    """Close flow runs of the project whose process is gone."""
    with get_client(sync_client=True) as client:
        num_closed = close_abandoned_runs(client, project, str(PREFECT_API_URL.value()))
    get_run_logger().info("closed %d runs whose process is gone", num_closed)
    return []


@task(cache_policy=NO_CACHE, persist_result=False)
def close_approvals(project: Path) -> list[str]:
    """Expire requests for approval whose time is over; resume the runs whose request is closed."""
    registry = _registry(project)
    for approval in registry.approvals.expire(actor="flow:janitor"):
        get_run_logger().info(
            "approval %s of version %s expired", approval.number, approval.version
        )
    closed = [
        approval
        for approval in registry.approvals.list()
        if approval.flow_run and approval.state != ApprovalState.REQUESTED
    ]
    for approval in closed:
        if resume_promotion(approval):
            get_run_logger().info("resumed flow run %s", approval.flow_run)
    return []


@task(cache_policy=NO_CACHE, persist_result=False)
def delete_partial_files(project: Path) -> list[str]:
    """Delete what killed processes left half-written."""
    now = time.time()
    for path in _partial_files(project):
        if now - path.lstat().st_mtime > PARTIAL_AGE_S:
            get_run_logger().info("deleted %s", path)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    return []


@task(cache_policy=NO_CACHE, persist_result=False)
def collect_dvc_cache(project: Path) -> list[str]:
    """Delete what neither a workspace nor a registered version uses from DVC's cache."""
    report = collect_garbage(project, _registry(project))
    get_run_logger().info("%s", report)
    return []


@task(cache_policy=NO_CACHE, persist_result=False)
def check_disk(project: Path, min_free_gb: float) -> list[str]:
    """Report a disk that is nearly full."""
    free_gb = shutil.disk_usage(project).free / GIB
    if free_gb >= min_free_gb:
        return []
    return [
        f"{project}: {free_gb:.1f} GiB free, less than {min_free_gb:g}; delete old workspaces in "
        f"{STATE / 'workspaces'}, or enlarge the disk"
    ]


@task(cache_policy=NO_CACHE, persist_result=False)
def verify_registry(project: Path) -> list[str]:
    """Report faults of the files and records of registered versions."""
    return [
        f"version {fault.version} of {fault.model!r}: {fault.fault}"
        for version in _registry(project).verify(actor="flow:janitor")
        for fault in version.faults
    ]


@task(cache_policy=NO_CACHE, persist_result=False)
def back_up_registry(project: Path, keep: int) -> list[str]:
    """Copy the registry's database to .flanmoe/backups and prove the copy."""
    copy = back_up(_registry(project).engine, project / STATE / "backups", keep=keep)
    get_run_logger().info("%s: %d rows, sha256 %s", copy.path, copy.num_rows, copy.sha256)
    return []


def _registry(project: Path) -> Registry:
    return open_project_registry(project, load_params(project / "params.yaml"))


def _partial_files(project: Path) -> Iterator[Path]:
    """Yield partial files of the project, its workspaces and its back-ups."""
    for folder in (project, *sorted((project / WORKSPACES).glob("*"))):
        for part in ("data", "runs"):
            yield from (folder / part).rglob("*.partial")
    yield from (project / STATE / "backups").glob("*.partial")
