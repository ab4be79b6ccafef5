"""Logs of training runs of the project and its workspaces, read from where the last look ended."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.run_status import RunStatus, read_status

LOG_KEYS_0_1_0 = {"largest_load": "max_expert_load", "balance": "load_balance_loss"}
"""Keys in the training logs of release 0.1.0, and the present ones."""
_UNKNOWN = {"warnings": None, **dict.fromkeys(("tokens_per_second", "mfu", "time"), math.nan)}
_UNFINISHED = ".flanmoe/checkpoints/*/log.jsonl"
_FINISHED = ("runs/*/seed_*/log.jsonl", "runs/*/log.jsonl")
"""The last one is of release 0.1.0."""

LogLine = dict[str, Any]


@dataclass
class LogTail:
    """A log file and the complete lines that were read from it so far."""

    path: Path
    lines: list[LogLine] = field(default_factory=list)
    offset: int = 0
    inode: int = 0

    def read_new_lines(self) -> None:
        """Read the lines after the last complete one; a replaced or cut file is read again."""
        try:
            with self.path.open("rb") as file:
                state = self.path.stat()
                if state.st_ino != self.inode or state.st_size < self.offset:
                    self.lines, self.offset, self.inode = [], 0, state.st_ino
                file.seek(self.offset)
                content = file.read()
        except OSError:
            return
        end = content.rfind(b"\n") + 1
        for text in content[:end].split(b"\n")[:-1]:
            try:
                line = json.loads(text)
            except ValueError:
                break
            if isinstance(line, dict):
                self.lines.append(_present_names(line))
            self.offset += len(text) + 1


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A run with its log."""

    name: str
    """Such as moe_base-1; with its workspace in front, if it has one."""
    status: RunStatus
    lines: Sequence[LogLine]

    @property
    def last_time(self) -> float:
        """Unix time of the last line; 0 if it is not known."""
        return float(self.lines[-1].get("time") or 0.0) if self.lines else 0.0

    def frame(self) -> pd.DataFrame:
        """Return a row for each line."""
        frame = pd.DataFrame([{**_UNKNOWN, **line} for line in self.lines])
        return frame.assign(run=self.name, running=not self.status.is_finished)


class LogFolder:
    """The logs of a project; reading again reads new lines only."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self._tails: dict[Path, LogTail] = {}
        self._lock = threading.Lock()

    def runs(self) -> list[TrainingRun]:
        """Return all runs that have logged a line, those with the newest line first."""
        with self._lock:
            runs = list(self._read_runs())
        return sorted((run for run in runs if run.lines), key=lambda run: -run.last_time)

    def _read_runs(self) -> Iterator[TrainingRun]:
        workspaces = sorted((self.project / ".flanmoe" / "workspaces").glob("*"))
        for folder in [self.project, *workspaces]:
            prefix = "" if folder == self.project else f"{folder.name}/"
            for path in sorted(folder.glob(_UNFINISHED)):
                lines = self._lines(path)
                yield TrainingRun(
                    name=prefix + path.parent.name,
                    status=read_status(path.parent, lines),
                    lines=lines,
                )
            for pattern in _FINISHED:
                for path in sorted(folder.glob(pattern)):
                    yield TrainingRun(
                        name=prefix + _label_of_log(path),
                        status=RunStatus.finished(),
                        lines=self._with_throughput(path),
                    )

    def _lines(self, path: Path) -> list[LogLine]:
        tail = self._tails.setdefault(path, LogTail(path))
        tail.read_new_lines()
        return tail.lines

    def _with_throughput(self, path: Path) -> list[LogLine]:
        """Return the lines of a finished run with its throughput, which is in a file of its own."""
        lines = self._lines(path)
        measured = {line["step"]: line for line in self._lines(path.with_name("throughput.jsonl"))}
        return [{**line, **measured.get(line.get("step"), {})} for line in lines]


def _present_names(line: LogLine) -> LogLine:
    return {LOG_KEYS_0_1_0.get(str(key), str(key)): value for key, value in line.items()}


def _label_of_log(path: Path) -> str:
    """Return the run and seed of a log, e.g. moe_base-1, as the folders of checkpoints have it."""
    folder = path.parent
    if folder.name.startswith("seed_"):
        return f"{folder.parent.name}-{folder.name.removeprefix('seed_')}"
    return folder.name


@st.cache_resource(max_entries=4, show_spinner=False)
def open_logs(project: str) -> LogFolder:
    """Return the logs of a project, the same object for all sessions."""
    return LogFolder(Path(project))
