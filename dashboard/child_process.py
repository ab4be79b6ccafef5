"""Child processes of pages: one at a time, limited in time and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LOCK = threading.Lock()
"""Of all sessions of the dashboard."""


class ChildFailed(Exception):
    """A child process did not answer; its text is one line."""


@dataclass(frozen=True, kw_only=True)
class ChildResult:
    """How a child process ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        """The last line of the errors, without the word `error`."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error: ")]
        line = (errors or lines or [f"it ended with code {self.returncode}"])[-1]
        return line[7:] if line.lower().startswith("error: ") else line


def run_limited(
    module: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    timeout_s: float,
    memory_mb: int,
    text: str = "",
    wait_s: float = 0.0,
) -> ChildResult:
    """Run a Python module as a child process, and wait for its end.

    Args:
        module: the module, as after `python -m`.
        arguments: its arguments; no shell reads them.
        folder: its working directory.
        timeout_s: time after which it and its own children are killed.
        memory_mb: largest memory for its data, in MB.
        text: what it reads from stdin.
        wait_s: how long to wait for the end of another one.

    Raises:
        ChildFailed: another one runs, or it took longer than the limit.
    """
    if not _LOCK.acquire(timeout=wait_s):
        raise ChildFailed(
            f"{module}: another call of the dashboard runs; wait for its end, and try again"
        )
    try:
        # -P: a module of the folder never takes the place of an installed one.
        command = [sys.executable, "-P", "-m", "dashboard.limited_process"]
        process = subprocess.Popen(
            [*command, str(os.getpid()), str(memory_mb), module, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        return _await(process, module, text, timeout_s)
    finally:
        _LOCK.release()


def _await(
    process: subprocess.Popen[bytes], module: str, text: str, timeout_s: float
) -> ChildResult:
    try:
        stdout, stderr = process.communicate(text.encode(), timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise ChildFailed(
            f"{module}: no answer within {timeout_s:g} s, so it was ended; try the same command in "
            "a terminal"
        ) from None
    finally:
        _end(process)
    return ChildResult(
        returncode=process.returncode,
        stdout=stdout.decode("utf-8", "replace"),
        stderr=stderr.decode("utf-8", "replace"),
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its own children, if they still run."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
