"""Child processes: started in groups of their own, and all of them ended on Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from flows.runtime.parent_watch import PARENT_VARIABLE

GRACE_SECONDS = 10.0
SAVING_SECONDS = 120.0
"""For stages: training ends its step and writes a checkpoint first."""


class Processes:
    """The process groups this run has started. One `stop` ends them all and lets none start."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        output: int | IO[bytes],
    ) -> subprocess.Popen[bytes] | None:
        """A process in its own group, or None if everything is being stopped."""
        folder = str(Path(sys.executable).parent)
        path = os.pathsep.join([folder, os.environ.get("PATH", "")])
        merged = {**os.environ, **environment, "PATH": path, PARENT_VARIABLE: str(os.getpid())}
        with self._lock:
            if self.stopping.is_set():
                return None
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=merged,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
        return process

    def finished(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a process that has ended by itself."""
        with self._lock:
            self._running.discard(process)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End one group: asked first, forced after a grace period."""
        _signal(process, signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        # DVC may be gone while the command it started lingers: always clear the group.
        _signal(process, signal.SIGKILL)
        process.wait()
        self.finished(process)

    def stop(self) -> None:
        """End every group that runs, except those started with `keep`; called again: at once."""
        again = self.stopping.is_set()
        self.stopping.set()
        with self._lock:
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGKILL if again else signal.SIGTERM)
        if not again:
            threading.Thread(target=_force, args=(running,), daemon=True).start()

    def keep(self, process: subprocess.Popen[bytes]) -> None:
        """Leave a process out of `stop`: the server must outlive the stages to record their end."""
        self.finished(process)


@contextmanager
def on_interrupt(processes: Processes) -> Iterator[None]:
    """SIGINT and SIGTERM stop the children; the flow then ends by itself, its records written."""

    def handle(_signal: int, _frame: object) -> None:
        processes.stop()

    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _force(running: list[subprocess.Popen[bytes]]) -> None:
    # Whole groups: DVC ends at once, the training it started saves first.
    deadline = time.monotonic() + SAVING_SECONDS
    while time.monotonic() < deadline and any(_signal(p, 0) for p in running):
        time.sleep(0.1)
    for process in running:
        _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: int) -> bool:
    """To the whole group, its leader or not; 0 only asks. Whether any of it is left."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
