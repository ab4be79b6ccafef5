"""One stage, run by DVC: `dvc repro --single-item STAGE`, its progress and its errors read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from flows.errors import LockRefused, StageFailed, StageInterrupted, StagePreempted
from flows.runtime.processes import Processes
from flows.runtime.workspace import STATE
from models.training.preemption import RESUME

# tqdm in the stage prints its bars in this form, because the environment tells it to.
_BAR_FORMAT = "@bar|{desc}|{n_fmt}|{total_fmt}|{postfix}|"
_BAR = re.compile(r"@bar\|(?P<what>.*?)(?:: )?\|(?P<done>\d+)\|(?P<total>\d+)\|(?P<note>.*?)\|")
_LOCK = re.compile(r"[Uu]nable to acquire lock|is busy, it is being blocked")
ERROR = "error: "


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Progress inside a stage."""

    what: str
    done: int
    total: int
    note: str


def run(
    stage: str,
    workspace: Path,
    processes: Processes,
    on_bar: Callable[[Bar], None],
) -> str:
    """Runs the stage if DVC finds it changed. Returns `ran`, or `cached` if nothing was to do.

    Raises StageFailed with the stage's own line, StageInterrupted when stopped, LockRefused,
    StagePreempted when the stage alone was stopped and can go on.
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
    kept: list[str] = []
    with log.open("w", encoding="utf-8") as file:
        for line in _lines(process):
            found = _BAR.search(line)
            if found:
                on_bar(
                    Bar(
                        what=found["what"],
                        done=int(found["done"]),
                        total=int(found["total"]),
                        note=found["note"].removeprefix(", "),
                    )
                )
                continue
            file.write(line + "\n")
            file.flush()
            kept.append(line)
    code = process.wait()
    processes.finished(process)
    if code == 0:
        ran = any(line.startswith(f"Running stage '{stage}'") for line in kept)
        return "ran" if ran else "cached"
    if processes.stopping.is_set():
        raise StageInterrupted(f"{stage} was stopped")
    if any(_LOCK.search(line) for line in kept):
        raise LockRefused(f"{stage}: DVC's lock was refused")
    if any(line.endswith(f"exited with {RESUME}") for line in kept):
        raise StagePreempted(f"{stage} was asked to stop and has saved; start it again to go on")
    raise StageFailed(f"{stage}: {_reason(kept, code)} (log: {log})")


def log_file(workspace: Path, stage: str) -> Path:
    """What the stage printed, except its bars."""
    return workspace / STATE / "logs" / f"{stage}.log"


def _reason(lines: list[str], code: int) -> str:
    told = [line for line in lines if line.startswith(ERROR)]
    if told:
        return told[0].removeprefix(ERROR)  # what follows a cause are its consequences
    dvc = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if dvc:
        return dvc[0]
    return lines[-1] if lines else f"ended with code {code}"


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Lines as they come; a carriage return, with which bars redraw, ends one too."""
    assert process.stdout is not None
    rest = b""
    while chunk := os.read(process.stdout.fileno(), 65536):
        *whole, rest = re.split(rb"[\r\n]", rest + chunk)
        for line in whole:
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                yield text
    if rest:
        yield rest.decode("utf-8", "replace").rstrip()
