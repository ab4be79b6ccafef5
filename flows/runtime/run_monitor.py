"""Watch a flow run from its own process: cancellation, the lease, and whether the API answers."""

from __future__ import annotations

import contextvars
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

from flows.runtime.run_closing import close_abandoned_runs
from flows.runtime.run_guard import start_guard
from flows.runtime.run_lease import create_lease, record_ending, renew_lease

POLL_S = 1.0
CLOSING_POLL_S = 0.1
OUTAGE_TOLERANCE_S = 10.0
"""Seconds that the end of a run waits for an API that does not answer."""
REQUEST_TIMEOUT_S = 5.0


class RunMonitor:
    """Watches one flow run until its final state is recorded."""

    def __init__(
        self,
        flow_run_id: UUID,
        lease: Path,
        on_cancel: Callable[[], None],
        *,
        guard: subprocess.Popen[bytes] | None = None,
        outage_tolerance_s: float = OUTAGE_TOLERANCE_S,
    ) -> None:
        """Open a client of the API.

        Args:
            flow_run_id: the run that this process executes.
            lease: its lease, which is deleted when the API has its final state.
            on_cancel: called when the run is being cancelled in Prefect.
            guard: process that closes the run if this process is killed.
            outage_tolerance_s: how long the end of the run waits for the API.
        """
        self.flow_run_id, self.lease, self.on_cancel = flow_run_id, lease, on_cancel
        self.guard, self.outage_tolerance_s = guard, outage_tolerance_s
        self.client = get_client(httpx_settings={"timeout": REQUEST_TIMEOUT_S}, sync_client=True)
        self._has_ended, self._is_closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(
            # With the settings of this thread, among them the API's address.
            target=contextvars.copy_context().run,
            args=(self._watch,),
            name="run-monitor",
            daemon=True,
        )

    def start(self) -> None:
        """Watch in a thread, beyond the end of the flow function."""
        self.client.__enter__()  # the thread leaves it
        self._thread.start()

    def check(self) -> None:
        """Look at once whether the run is being cancelled, before a step that cannot be undone."""
        with _without_retries():
            self._poll()

    def record_ending(self, kind: StateType, message: str) -> None:
        """Record in the lease how the run ends, before the API records it."""
        with suppress(OSError):  # a full disk
            record_ending(self.lease, kind.value, message)
        self._has_ended.set()

    def is_api_lost(self) -> bool:
        """Return whether the API does not answer for `outage_tolerance_s` seconds."""
        deadline = time.monotonic() + self.outage_tolerance_s
        with _without_retries():
            while self.client.api_healthcheck() is not None:
                if time.monotonic() > deadline:
                    return True
                time.sleep(POLL_S / 2)
        return False

    def await_closed(self, timeout_s: float) -> None:
        """Wait until the API has the final state of the run."""
        self._is_closed.wait(timeout_s)

    def _watch(self) -> None:
        with _without_retries():
            while not self._poll():
                with suppress(OSError):
                    renew_lease(self.lease)
                if self._has_ended.wait(POLL_S):
                    time.sleep(CLOSING_POLL_S)
        self.client.__exit__(None, None, None)
        self.lease.unlink(missing_ok=True)
        if self.guard is not None and self.guard.stdin is not None:
            self.guard.stdin.close()
            self.guard.wait()
        self._is_closed.set()

    def _poll(self) -> bool:
        """Read the state of the run; return whether it is final."""
        try:
            state: State | None = self.client.read_flow_run(self.flow_run_id).state
        except ObjectNotFound:
            return True
        except httpx.HTTPError:
            return False
        if state is not None and (state.is_cancelling() or state.is_cancelled()):
            self.on_cancel()
        return state is not None and state.is_final()


@contextmanager
def monitor_run(
    project: Path, flow_run_id: UUID, on_cancel: Callable[[], None], *, has_own_server: bool
) -> Iterator[RunMonitor]:
    """Close the abandoned runs of a project, then watch a run of this process.

    Args:
        project: folder that holds the leases.
        flow_run_id: the run that this process executes.
        on_cancel: called when the run is being cancelled in Prefect.
        has_own_server: whether the API is the project's own server, which ends with this process.
    """
    api_url = "" if has_own_server else str(PREFECT_API_URL.value() or "ephemeral")
    lease = create_lease(project, str(flow_run_id), api_url)
    if has_own_server:  # it neither survives this process nor comes back if it ends before
        monitor = RunMonitor(flow_run_id, lease, on_cancel, outage_tolerance_s=0)
    else:
        monitor = RunMonitor(flow_run_id, lease, on_cancel, guard=start_guard(lease))
    monitor.start()
    with suppress(httpx.HTTPError), _without_retries():
        close_abandoned_runs(monitor.client, project, api_url)
    yield monitor


def _without_retries() -> AbstractContextManager[object]:
    """Turn off the client's repetition of requests: every caller asks again by itself."""
    return temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})
