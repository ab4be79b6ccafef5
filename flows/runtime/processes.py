"""Child processes in separate process groups, all of which end on Ctrl-C."""

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

from flows.runtime.code_digest import package_root
from flows.runtime.parent_watch import PARENT_VARIABLE

GRACE_S = 10.0
CANCEL_GRACE_S = 7.0
"""Seconds from SIGTERM to SIGKILL after Ctrl-C or a cancellation, which must take effect within 10
seconds. Training that cannot write a checkpoint in this time resumes from its last one."""
CHECKPOINT_GRACE_S = 120.0
"""Seconds from SIGTERM to SIGKILL after SIGTERM, which clusters send two minutes before the end."""


class ProcessGroups:
    """The process groups that a run has started.

    A group holds the started process and all its descendants, for example DVC and the stage that
    DVC runs.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        """Set by `stop`: no process starts any more."""
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
        """Start a process in a new group.

        Args:
            command: program and arguments.
            cwd: its working directory.
            environment: variables in addition to those of this process.
            output: receives stdout and stderr.

        Returns:
            The process; None if `stop` was called before.
        """
        with self._lock:
            if self.stopping.is_set():
                return None
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**environment_of_child(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
        return process

    def discard(self, process: subprocess.Popen[bytes]) -> None:
        """Exclude a process from `stop`, because it has ended or must outlive the others."""
        with self._lock:
            self._running.discard(process)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End one group: SIGTERM, then SIGKILL after GRACE_S seconds."""
        _signal_group(process, signal.SIGTERM)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            pass
        # The leader may be gone while a descendant is still running.
        _signal_group(process, signal.SIGKILL)
        process.wait()
        self.discard(process)

    def has_members(self, process: subprocess.Popen[bytes]) -> bool:
        """Return whether any process of a group is alive."""
        return _signal_group(process, 0)

    def stop(self, grace_s: float = CANCEL_GRACE_S) -> None:
        """End every group and start no more; return at once.

        The first call sends SIGTERM, and SIGKILL to what still runs after `grace_s` seconds. A
        second call sends SIGKILL immediately.
        """
        is_second_call = self.stopping.is_set()
        self.stopping.set()
        with self._lock:
            running = list(self._running)
        for process in running:
            _signal_group(process, signal.SIGKILL if is_second_call else signal.SIGTERM)
        if not is_second_call:
            threading.Thread(
                target=self._kill_after_grace, args=(running, grace_s), daemon=True
            ).start()

    def _kill_after_grace(self, running: list[subprocess.Popen[bytes]], grace_s: float) -> None:
        # Every process of a group counts: DVC ends at once, its training writes a checkpoint.
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline and any(map(self.has_members, running)):
            time.sleep(0.1)
        for process in running:
            _signal_group(process, signal.SIGKILL)


def environment_of_child() -> dict[str, str]:
    """Return the environment of this process, with its programs, its code and its number."""
    path = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    # The child runs the code of this process, also where another copy is installed.
    modules = [str(package_root()), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": os.pathsep.join(filter(None, modules)),
        PARENT_VARIABLE: str(os.getpid()),
    }


@contextmanager
def stop_on_signal(processes: ProcessGroups) -> Iterator[None]:
    """Stop the groups on SIGINT or SIGTERM instead of raising.

    The flow then ends because its stages end, and the server can record their final states.
    """

    def handle(number: int, _frame: object) -> None:
        processes.stop(CHECKPOINT_GRACE_S if number == signal.SIGTERM else CANCEL_GRACE_S)

    previous = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to every process of a group; return False if none is left."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
