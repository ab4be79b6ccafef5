"""The Prefect server: the one in PREFECT_API_URL, or our own for as long as the run lasts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.errors import ServerError, StageInterrupted
from flows.runtime.processes import Processes
from flows.runtime.workspace import STATE

BOOT_SECONDS = 120.0
RECORD_SECONDS = 20.0
_TERMINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass
class Api:
    """A Prefect API; `process` is our own server, None if it is somebody else's."""

    url: str
    processes: Processes
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def await_healthy(self) -> None:
        """Raises ServerError when it does not come up, StageInterrupted when stopped."""
        deadline = time.monotonic() + (BOOT_SECONDS if self.process else 0)
        while not _healthy(self.url):
            if self.processes.stopping.is_set():
                raise StageInterrupted("stopped while the Prefect server was starting")
            ended = self.process is not None and self.process.poll() is not None
            if not ended and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            if self.process is None:
                raise ServerError(
                    f"PREFECT_API_URL is {self.url}: no Prefect server answers there; start it, "
                    "or unset the variable to let flanmoe start its own"
                )
            lines = self.log.read_text(errors="replace").strip().splitlines() or ["no output"]
            raise ServerError(f"the Prefect server did not start: {lines[-1]} (log: {self.log})")
        if self.process is not None:
            # From here on Ctrl-C ends the stages only: the server must record how they ended.
            self.processes.keep(self.process)


@contextmanager
def api(project: Path, processes: Processes) -> Iterator[Api]:
    """The API of the run, perhaps still booting: call `await_healthy` before the first use.

    Our own server is stopped at the end of the block, after everything of this run is recorded.
    """
    given = os.environ.get("PREFECT_API_URL")
    state = project / STATE / "prefect"
    _quiet_client(state)
    if given:
        yield Api(url=given, processes=processes, log=state / "server.log")
        return
    own = _start(state, processes)
    os.environ["PREFECT_API_URL"] = own.url
    began = datetime.now(UTC).isoformat()
    assert own.process is not None
    try:
        yield own
        _await_records(own.url, began)
    finally:
        processes.end(own.process)
        del os.environ["PREFECT_API_URL"]


def _quiet_client(state: Path) -> None:
    """Settings Prefect reads when it is imported: no telemetry, logs to its API, not the screen."""
    defaults = {
        "PREFECT_HOME": str(state),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _start(state: Path, processes: Processes) -> Api:
    state.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    log = state / "server.log"
    with log.open("wb") as output:
        process = processes.start(
            [sys.executable, "-m", "flows.runtime.prefect_server_process", str(port)],
            cwd=state,
            environment={
                "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{state}/prefect.db",
                "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
                "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
            },
            output=output,
        )
    if process is None:
        raise StageInterrupted("stopped before the Prefect server was started")
    url = f"http://127.0.0.1:{port}/api"
    return Api(url=url, processes=processes, log=log, process=process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _await_records(url: str, since: str) -> None:
    """Task states reach the server as events: wait until none of this run is on its way."""
    query = {"flow_runs": {"start_time": {"after_": since}}, "limit": 200}
    deadline = time.monotonic() + RECORD_SECONDS
    while time.monotonic() < deadline:
        states = [run["state_type"] for run in _post(f"{url}/task_runs/filter", query)]
        if all(state in _TERMINAL for state in states):
            return
        time.sleep(0.2)


def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
