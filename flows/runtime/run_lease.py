"""Leases: which process executes which flow run, and how the run ended.

A lease is a JSON file in `.flanmoe/prefect/leases` of the project, which its process renews. A flow
run whose process is gone is closed, by the guard of the run or by the next run of the project;
Prefect itself would show it as running for ever.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from data_pipelines.files import write_json
from flows.runtime.parent_watch import is_process_gone
from flows.runtime.workspace import STATE

RENEWAL_S = 10.0
LEASE_S = 60.0
"""Seconds after which a lease that was not renewed is void; decides only between machines."""


@dataclass(frozen=True, kw_only=True)
class RunLease:
    """Content of a lease file."""

    flow_run_id: str
    api_url: str
    """API that records the run; empty for the project's own server."""
    project: str
    host: str
    pid: int
    process_started_at: float
    ending: str = ""
    """Prefect's type of the final state; empty while the run lasts."""
    message: str = ""


def create_lease(project: Path, flow_run_id: str, api_url: str) -> Path:
    """Write the lease of this process on a flow run and return its file."""
    lease = RunLease(
        flow_run_id=flow_run_id,
        api_url=api_url,
        project=str(project.resolve()),
        host=socket.gethostname(),
        pid=os.getpid(),
        process_started_at=psutil.Process().create_time(),
    )
    path = _folder(project) / f"{flow_run_id}.json"
    write_json(path, asdict(lease))
    return path


def renew_lease(path: Path) -> None:
    """Renew the lease of this process if it was not renewed for RENEWAL_S seconds."""
    if time.time() - path.stat().st_mtime > RENEWAL_S:
        os.utime(path)


def record_ending(path: Path, ending: str, message: str) -> None:
    """Record the final state of the run, in case that the API cannot."""
    lease = read_lease(path)
    if lease is not None:
        write_json(path, asdict(replace(lease, ending=ending, message=message)))


def read_lease(path: Path) -> RunLease | None:
    """Return the lease in a file; None if there is none."""
    try:
        return RunLease(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def list_leases(project: Path) -> list[tuple[Path, RunLease]]:
    """Return the leases of a project and their files.

    Leases that came with a copy of another project belong to that project: they are deleted.
    """
    leases = []
    for path in sorted(_folder(project).glob("*.json")):
        lease = read_lease(path)
        if lease is None or lease.project != str(project.resolve()):
            path.unlink(missing_ok=True)
        else:
            leases.append((path, lease))
    return leases


def is_lease_void(path: Path, lease: RunLease) -> bool:
    """Return whether the process of a lease has ended."""
    if lease.host != socket.gethostname():
        return time.time() - path.stat().st_mtime > LEASE_S
    try:
        process = psutil.Process(lease.pid)
        is_other_process = abs(process.create_time() - lease.process_started_at) > 1
    except psutil.NoSuchProcess:
        return True
    return is_other_process or is_process_gone(process)


def _folder(project: Path) -> Path:
    return project / STATE / "prefect" / "leases"
