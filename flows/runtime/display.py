"""Progress of a run on the console: one line per finished stage, a bar for each running one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from data_pipelines.progress import StageProgress
from flows.runtime.stage_runner import StageStatus

_MARKS: dict[StageStatus, str] = {
    "ran": "[green]done[/]",
    "cached": "[dim]unchanged[/]",
    "failed": "[red]failed[/]",
    "stopped": "[yellow]stopped[/]",
    "refused": "[yellow]waiting for DVC[/]",
    "preempted": "[yellow]preempted, will resume[/]",
}
PLAIN_INTERVAL_S = 15.0
"""Seconds between progress lines of a stage where the output is not a terminal."""


class Display:
    """Show stages as they start, progress and end: moving bars on a terminal, else plain lines."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("  {task.fields[stage]:<24}"),
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=28),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._bars: dict[str, TaskID] = {}
        self._start_times: dict[str, float] = {}
        self._print_times: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def live(self) -> Iterator[None]:
        """Draw the bars while the block runs."""
        if not self.console.is_terminal:
            yield
            return
        with self._progress:
            yield

    def start(self, stage: str) -> None:
        """Add a bar, or print that the stage started."""
        with self._lock:
            self._start_times[stage] = self._print_times[stage] = time.monotonic()
            if self.console.is_terminal:
                self._bars[stage] = self._progress.add_task("", total=1, stage=stage, note="")
            else:
                self.console.print(f"  {stage:<24} started", highlight=False)

    def update(self, stage: str, progress: StageProgress) -> None:
        """Move the bar of a started stage, or print a line every PLAIN_INTERVAL_S seconds."""
        with self._lock:
            if self.console.is_terminal:
                self._progress.update(
                    self._bars[stage],
                    description=progress.description,
                    completed=progress.completed,
                    total=progress.total,
                    note=progress.note,
                )
            elif time.monotonic() - self._print_times[stage] > PLAIN_INTERVAL_S:
                self._print_times[stage] = time.monotonic()
                self.console.print(
                    f"  {stage:<24} {progress.description} "
                    f"{progress.completed}/{progress.total} {progress.note}",
                    highlight=False,
                )

    def end(self, stage: str, status: StageStatus) -> None:
        """Remove the bar and print the stage's line: its status, and its time if it started."""
        with self._lock:
            if stage in self._bars:
                self._progress.remove_task(self._bars.pop(stage))
            started = self._start_times.pop(stage, None)
            elapsed = f"{time.monotonic() - started:6.1f} s" if started else ""
            self.console.print(f"  {stage:<24} {_MARKS[status]:<22} {elapsed}", highlight=False)

    def note(self, text: str) -> None:
        """Print a line below the lines of the finished stages."""
        with self._lock:
            self.console.print(
                f"    {text}", style="yellow", highlight=False, markup=False, soft_wrap=True
            )
