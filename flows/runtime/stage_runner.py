"""Run one stage with `dvc repro --single-item STAGE`; follow its progress, keep its output."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal

from data_pipelines.progress import NOTE, PROGRESS_VARIABLE, StageProgress, read_progress
from flows.errors import LockRefused, StageFailed, StageInterrupted, StagePreempted
from flows.runtime.processes import ProcessGroups
from flows.runtime.stage_failure import ERROR, describe_failure, stage_exit_code
from flows.runtime.workspace import STATE
from models.training.preemption import EXIT_RESUMABLE

StageStatus = Literal["ran", "cached", "failed", "stopped", "refused", "preempted"]
"""How a stage ended. refused: DVC's lock was busy; preempted: state saved after SIGTERM."""

POLL_S = 0.5
"""Seconds between looks at the progress of a stage."""
ORPHAN_TIMEOUT_S = 5.0
"""Seconds that the output may stay open after DVC has ended and its group was killed."""
_LOCK = re.compile(r"[Uu]nable to acquire lock|is busy, it is being blocked")


def run_with_dvc(
    stage: str,
    workspace: Path,
    processes: ProcessGroups,
    on_progress: Callable[[StageProgress], None],
    on_note: Callable[[str], None],
    *,
    time_limit_s: float | None = None,
) -> StageStatus:
    """Run a stage if DVC finds it changed, and write its output to the stage's log file.

    Args:
        stage: name in dvc.yaml.
        workspace: folder with dvc.yaml and params.yaml.
        processes: starts DVC, so that Ctrl-C ends it.
        on_progress: called when the progress bar of the stage has moved.
        on_note: called with each line that the stage prints for the user.
        time_limit_s: seconds after which the stage is stopped with SIGTERM; None: no limit.

    Returns:
        "ran", or "cached" if nothing had changed.

    Raises:
        StageFailed: with the cause and what to do about it.
        StageInterrupted: the run was stopped.
        LockRefused: DVC could not acquire its lock.
        StagePreempted: the stage, but not the run, received SIGTERM and saved its state.
    """
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", stage]
    log = StageLog(log_file(workspace, stage))
    progress_file = log.path.with_suffix(".progress")
    progress_file.unlink(missing_ok=True)
    environment = {
        PROGRESS_VARIABLE: str(progress_file.resolve()),
        "TQDM_DISABLE": "1",  # the bars of libraries, which would draw on stderr
        "COLUMNS": "200",
    }
    process = processes.start(
        command, cwd=workspace, environment=environment, output=subprocess.PIPE
    )
    if process is None:
        log.close()
        raise StageInterrupted(f"{stage} was not started")
    lines: list[str] = []
    last_progress: StageProgress | None = None
    deadline = float("inf") if time_limit_s is None else time.monotonic() + time_limit_s
    is_over_time = False
    for line in _read_lines(process, processes):
        if line is not None:
            log.write(line)
            lines.append(line)
            if line.startswith(NOTE):
                on_note(line.removeprefix(NOTE))
        progress = read_progress(progress_file)
        if progress is not None and progress != last_progress:
            last_progress = progress
            on_progress(progress)
        if not is_over_time and time.monotonic() > deadline:
            is_over_time = True
            processes.end(process)
    code = process.wait()
    processes.end(process)  # what DVC has left behind
    with suppress(OSError):
        progress_file.unlink(missing_ok=True)
    try:
        if is_over_time and not processes.stopping.is_set():
            raise StageFailed(f"{stage}: {_over_time(time_limit_s or 0)}")
        return _outcome(stage, lines, code, is_stopping=processes.stopping.is_set())
    except StageFailed as failure:
        log.write(f"{ERROR}{failure}")
        raise StageFailed(f"{failure} (log: {log.path}{log.gap})") from None
    finally:
        log.close()


def log_file(workspace: Path, stage: str) -> Path:
    """Return the file with the output of a stage, progress bars excluded."""
    return workspace / STATE / "logs" / f"{stage}.log"


class StageLog:
    """The log file of a stage; a full disk shortens it and does not end the stage."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.gap = ""
        """Why lines are missing, for the end of a sentence; empty if none is missing."""
        self._file: IO[str] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            self._record(error)

    def write(self, line: str) -> None:
        """Append a line and flush it to the file."""
        if self._file is None:
            return
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            self._record(error)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):  # of lines that could not be written before
                self._file.close()

    def _record(self, error: OSError) -> None:
        self.gap = f", incomplete: {error.strerror}"


def _outcome(stage: str, lines: list[str], code: int, *, is_stopping: bool) -> StageStatus:
    """Return how DVC ended with the stage, or raise; see `run_with_dvc`."""
    if code == 0:
        ran = any(line.startswith(f"Running stage '{stage}'") for line in lines)
        return "ran" if ran else "cached"
    if is_stopping:
        raise StageInterrupted(f"{stage} was stopped")
    if any(_LOCK.search(line) for line in lines):
        raise LockRefused(f"{stage}: DVC could not acquire its lock")
    if stage_exit_code(lines) == EXIT_RESUMABLE:
        raise StagePreempted(f"{stage} was preempted and saved its state; run it again to resume")
    raise StageFailed(f"{stage}: {describe_failure(stage, lines, code)}")


def _over_time(time_limit_s: float) -> str:
    return (
        f"stopped after {time_limit_s / 3600:.3g} hours, its limit; training resumes from its last "
        "checkpoint: raise flows.max_stage_hours or the quota of GPU hours, and run again"
    )


def _read_lines(process: subprocess.Popen[bytes], processes: ProcessGroups) -> Iterator[str | None]:
    """Yield lines as they are printed, and None whenever POLL_S seconds pass without output.

    A carriage return, which redraws a line, ends a line too. If DVC ends while a process that it
    started still holds the output, that process is killed, because nobody would record its result;
    but not while the run is stopping, when training may be writing a checkpoint.
    """
    assert process.stdout is not None
    remainder = b""
    deadline: float | None = None
    while deadline is None or time.monotonic() < deadline:
        if not select.select([process.stdout], [], [], POLL_S)[0]:
            is_saving = processes.stopping.is_set() and processes.has_members(process)
            if deadline is None and process.poll() is not None and not is_saving:
                processes.end(process)
                deadline = time.monotonic() + ORPHAN_TIMEOUT_S
            yield None
            continue
        chunk = os.read(process.stdout.fileno(), 65536)
        if not chunk:
            break
        *complete, remainder = re.split(rb"[\r\n]", remainder + chunk)
        for line in complete:
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                yield text
    if remainder:
        yield remainder.decode("utf-8", "replace").rstrip()
