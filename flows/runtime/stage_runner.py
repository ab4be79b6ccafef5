"""Run one stage with `dvc repro --single-item STAGE`; parse its progress bars and its errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flows.errors import LockRefused, StageFailed, StageInterrupted, StagePreempted
from flows.runtime.processes import ProcessGroups
from flows.runtime.workspace import STATE
from models.training.preemption import EXIT_RESUMABLE

StageStatus = Literal["ran", "cached", "failed", "stopped", "refused", "preempted"]
"""How a stage ended. refused: DVC's lock was busy; preempted: state saved after SIGTERM."""

# The format in which tqdm prints bars inside a stage, set through its environment variable.
_BAR_FORMAT = "@bar|{desc}|{n_fmt}|{total_fmt}|{postfix}|"
_BAR = re.compile(
    r"@bar\|(?P<description>.*?)(?:: )?\|(?P<completed>\d+)\|(?P<total>\d+)\|(?P<note>.*?)\|"
)
_LOCK = re.compile(r"[Uu]nable to acquire lock|is busy, it is being blocked")
ERROR = "error: "


@dataclass(frozen=True, kw_only=True)
class StageProgress:
    """A progress bar that a stage printed."""

    description: str
    completed: int
    total: int
    note: str


def run_with_dvc(
    stage: str,
    workspace: Path,
    processes: ProcessGroups,
    on_progress: Callable[[StageProgress], None],
) -> StageStatus:
    """Run a stage if DVC finds it changed, and write its output to the stage's log file.

    Args:
        stage: name in dvc.yaml.
        workspace: folder with dvc.yaml and params.yaml.
        processes: starts DVC, so that Ctrl-C ends it.
        on_progress: called with each progress bar that the stage prints.

    Returns:
        "ran", or "cached" if nothing had changed.

    Raises:
        StageFailed: with the stage's own error line.
        StageInterrupted: the run was stopped.
        LockRefused: DVC could not acquire its lock.
        StagePreempted: the stage, but not the run, received SIGTERM and saved its state.
    """
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", stage]
    environment = {"TQDM_BAR_FORMAT": _BAR_FORMAT, "TQDM_MININTERVAL": "0.5", "COLUMNS": "200"}
    process = processes.start(
        command, cwd=workspace, environment=environment, output=subprocess.PIPE
    )
    if process is None:
        raise StageInterrupted(f"{stage} was not started")
    log = log_file(workspace, stage)
    log.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    with log.open("w", encoding="utf-8") as file:
        for line in _read_lines(process):
            bar = _BAR.search(line)
            if bar:
                on_progress(
                    StageProgress(
                        description=bar["description"],
                        completed=int(bar["completed"]),
                        total=int(bar["total"]),
                        note=bar["note"].removeprefix(", "),
                    )
                )
                continue
            file.write(line + "\n")
            file.flush()
            lines.append(line)
    code = process.wait()
    processes.discard(process)
    if code == 0:
        ran = any(line.startswith(f"Running stage '{stage}'") for line in lines)
        return "ran" if ran else "cached"
    if processes.stopping.is_set():
        raise StageInterrupted(f"{stage} was stopped")
    if any(_LOCK.search(line) for line in lines):
        raise LockRefused(f"{stage}: DVC could not acquire its lock")
    if any(line.endswith(f"exited with {EXIT_RESUMABLE}") for line in lines):
        raise StagePreempted(f"{stage} was preempted and saved its state; run it again to resume")
    raise StageFailed(f"{stage}: {_failure_reason(lines, code)} (log: {log})")


def log_file(workspace: Path, stage: str) -> Path:
    """Return the file with the output of a stage, progress bars excluded."""
    return workspace / STATE / "logs" / f"{stage}.log"


def _failure_reason(lines: list[str], code: int) -> str:
    """Return the stage's first error line, else DVC's first error line, else the last line."""
    for prefix in (ERROR, "ERROR: "):
        reasons = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
        if reasons:
            return reasons[0]  # later errors are consequences of the first
    return lines[-1] if lines else f"ended with code {code}"


def _read_lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield lines as they are printed; a carriage return, which redraws a bar, ends a line too."""
    assert process.stdout is not None
    remainder = b""
    while chunk := os.read(process.stdout.fileno(), 65536):
        *complete, remainder = re.split(rb"[\r\n]", remainder + chunk)
        for line in complete:
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                yield text
    if remainder:
        yield remainder.decode("utf-8", "replace").rstrip()
