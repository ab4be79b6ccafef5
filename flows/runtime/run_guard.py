"""`python -m flows.runtime.run_guard LEASE`: close a flow run whose process was killed.

The process of the run holds the other end of stdin, which closes when the process ends in any way.
A run that has ended properly has deleted its lease; then there is nothing to do.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from flows.runtime.processes import environment_of_child
from flows.runtime.run_lease import LEASE_S, read_lease

RETRY_S = 2.0


def start_guard(lease: Path) -> subprocess.Popen[bytes]:
    """Start the guard of a run; it lives in a session of its own until this process ends."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.runtime.run_guard", str(lease.resolve())],
        cwd=lease.parent,
        env=environment_of_child(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main() -> None:
    """Wait for the end of stdin, then close the run; retry for as long as a lease lasts."""
    path = Path(sys.argv[1])
    sys.stdin.buffer.read()
    deadline = time.monotonic() + LEASE_S
    while path.is_file() and time.monotonic() < deadline:
        try:
            _close(path)
        except Exception:  # the API does not answer; the next run of the project tries again
            time.sleep(RETRY_S)


def _close(path: Path) -> None:
    # Prefect is imported only now, because most guards have nothing to do.
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    from flows.runtime.run_closing import close_run

    lease = read_lease(path)
    if lease is None:
        return
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(sync_client=True) as client,
    ):
        close_run(client, path, lease)


if __name__ == "__main__":
    main()
