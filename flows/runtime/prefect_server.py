"""The Prefect API of a run: the one in PREFECT_API_URL, or a server that the run starts."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import IO

from flows.errors import ServerError, StageInterrupted
from flows.runtime.ports import free_port
from flows.runtime.prefect_http import (
    AUTH_VARIABLE,
    SERVER_AUTH_VARIABLE,
    check_access,
    is_healthy,
    request_json,
)
from flows.runtime.processes import ProcessGroups
from flows.runtime.workspace import STATE

BOOT_TIMEOUT_S = 120.0
RECORD_TIMEOUT_S = 20.0
POLL_S = 0.1
MAX_LOGS = 5
_UNKNOWN_REVISION = re.compile(r"Can't locate revision identified by '(\w+)'")
_FINAL_STATES = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_NOT_STARTED = "NotReady"
"""Prefect's name for the last state of a task whose upstream task has failed."""


@dataclass
class PrefectApi:
    """A Prefect API; `process` is the run's own server, None if PREFECT_API_URL names one."""

    url: str
    processes: ProcessGroups
    log: Path
    process: subprocess.Popen[bytes] | None = None
    boot_lock: IO[str] | None = None
    """Open, and so locked, while the run's own server boots."""

    def await_healthy(self) -> None:
        """Wait until the API answers.

        Raises:
            ServerError: PREFECT_API_URL does not answer, the API rejects the credentials, or the
                run's own server ended or did not answer within BOOT_TIMEOUT_S.
            StageInterrupted: the run was stopped.
        """
        if self.process is None:
            check_access(self.url)
            return
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while not is_healthy(self.url):
            if self.processes.stopping.is_set():
                raise StageInterrupted("stopped while the Prefect server was starting")
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ServerError(_boot_failure(self.log))
            time.sleep(POLL_S)
        check_access(self.url)
        # From now on Ctrl-C ends the stages only: the server records how they ended.
        self.processes.discard(self.process)
        if self.boot_lock is not None:
            self.boot_lock.close()


@contextmanager
def start_api(project: Path, processes: ProcessGroups, port: int = 0) -> Iterator[PrefectApi]:
    """Yield the API of a run; its own server may still be booting, see `await_healthy`.

    The run's own server is stopped after the block, once every task's final state is recorded.
    Its log remains if it was lost.

    Args:
        project: folder whose `.flanmoe/prefect` holds the server's database and log.
        processes: starts the server, so that Ctrl-C during the boot ends it.
        port: port of the run's own server; 0: a free one.

    Raises:
        ServerError: the API in PREFECT_API_URL does not answer or rejects the credentials.
        StageInterrupted: the run was stopped before the server started.
    """
    external_url = os.environ.get("PREFECT_API_URL")
    state = project / STATE / "prefect"
    state.mkdir(parents=True, exist_ok=True)
    _configure_client(state)
    if external_url:
        external = PrefectApi(url=external_url, processes=processes, log=state / "server.log")
        external.await_healthy()  # before any work
        yield external
        return
    if os.environ.get(SERVER_AUTH_VARIABLE):
        os.environ.setdefault(AUTH_VARIABLE, os.environ[SERVER_AUTH_VARIABLE])
    api = _start_server(state, processes, port or free_port())
    os.environ["PREFECT_API_URL"] = api.url
    started_at = datetime.now(UTC).isoformat()
    assert api.process is not None
    assert api.boot_lock is not None
    try:
        yield api
    finally:
        if is_healthy(api.url):
            _await_records(api.url, started_at)
            api.log.unlink()
        processes.end(api.process)
        api.boot_lock.close()
        os.environ.pop("PREFECT_API_URL", None)


def _configure_client(state: Path) -> None:
    """Set what Prefect reads at import: no telemetry, logs to the API and not to the console.

    Requests are repeated for some seconds, not for a minute: a run whose server is lost must end.
    """
    defaults = {
        "PREFECT_HOME": str(state),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_CLIENT_MAX_RETRIES": "2",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _start_server(state: Path, processes: ProcessGroups, port: int) -> PrefectApi:
    boot_lock = _lock_boot(state, processes)
    log = state / f"server-{port}.log"
    _delete_old_logs(state)
    with log.open("wb") as output:
        process = processes.start(
            [sys.executable, "-m", "flows.runtime.prefect_server_process", str(port)],
            cwd=state,
            environment={
                # Relative to the working directory, because a path may have characters that
                # Prefect would interpret as parts of a URL.
                "PREFECT_API_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:///prefect.db",
                "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
                "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
            },
            output=output,
        )
    if process is None:
        boot_lock.close()
        raise StageInterrupted("stopped before the Prefect server was started")
    url = f"http://127.0.0.1:{port}/api"
    return PrefectApi(url=url, processes=processes, log=log, process=process, boot_lock=boot_lock)


def _delete_old_logs(state: Path) -> None:
    """Delete the oldest logs, which are of servers that were lost, beyond MAX_LOGS."""
    logs = sorted(state.glob("server-*.log"), key=lambda path: path.stat().st_mtime)
    for path in logs[:-MAX_LOGS]:
        path.unlink(missing_ok=True)


def _lock_boot(state: Path, processes: ProcessGroups) -> IO[str]:
    """Wait until no other server of the project boots; two would create the tables at once.

    Raises:
        StageInterrupted: the run was stopped.
    """
    file = (state / "boot.lock").open("a", encoding="utf-8")
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if processes.stopping.is_set():
                file.close()
                raise StageInterrupted("stopped while another Prefect server was booting") from None
            time.sleep(POLL_S)
        else:
            return file


def _boot_failure(log: Path) -> str:
    """Return why a server did not start, from its log."""
    text = log.read_text(errors="replace")
    revision = _UNKNOWN_REVISION.search(text)
    if revision:
        return (
            f"{log.parent / 'prefect.db'}: revision {revision[1]} is of a newer release of "
            "Prefect; upgrade Prefect, or delete the file, which holds only the history of runs"
        )
    lines = text.strip().splitlines() or ["no output"]
    return f"the Prefect server did not start: {lines[-1]} (log: {log})"


def _await_records(url: str, started_at: str) -> None:
    """Wait until the server has recorded a final state for every task of the run.

    Task states reach the server as events, some time after the tasks have ended.
    """
    query = {"flow_runs": {"start_time": {"after_": started_at}}, "limit": 200}
    deadline = time.monotonic() + RECORD_TIMEOUT_S
    try:
        while time.monotonic() < deadline:
            runs = request_json(f"{url}/task_runs/filter", query)
            if all(
                run["state_type"] in _FINAL_STATES or run["state_name"] == _NOT_STARTED
                for run in runs
            ):
                return
            time.sleep(2 * POLL_S)
    except (OSError, HTTPException):
        return  # the server was lost
