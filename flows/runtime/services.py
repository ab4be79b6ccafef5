"""Services that run side by side until one ends or the user stops them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.errors import ServiceEnded
from flows.runtime.processes import ProcessGroups

POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class LocalService:
    """A module that runs until it is stopped."""

    name: str
    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str]


def run_services(services: Sequence[LocalService], project: Path, processes: ProcessGroups) -> None:
    """Start services and return once the user has stopped all of them.

    Args:
        services: what to start.
        project: working directory; the logs are `.flanmoe/logs/NAME.log` below it.
        processes: starts the services, so that Ctrl-C ends them.

    Raises:
        ServiceEnded: one ended by itself; the others were stopped.
    """
    running: dict[str, subprocess.Popen[bytes]] = {}
    for service in services:
        log = service_log(project, service.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = processes.start(
                [
                    *(sys.executable, "-m", "flows.runtime.service_process"),
                    *(service.module, *service.arguments),
                ],
                cwd=project,
                environment=service.environment,
                output=output,
            )
        if process is not None:
            running[service.name] = process
    try:
        while not processes.stopping.is_set():
            for name, process in running.items():
                if process.poll() is not None:
                    log = service_log(project, name)
                    raise ServiceEnded(f"{name}: {_last_line(log, process)} (log: {log})")
            time.sleep(POLL_S)
    finally:
        processes.stop()
        for process in running.values():
            process.wait()


def service_log(project: Path, name: str) -> Path:
    """Return the file with the output of a service."""
    return project / ".flanmoe" / "logs" / f"{name}.log"


def _last_line(log: Path, process: subprocess.Popen[bytes]) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"ended with code {process.returncode}"
