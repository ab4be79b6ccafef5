"""What a run shows: a line for each stage with a bar while it works, then the table of models."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from flows.runtime.stage_runner import Bar

_MARKS = {
    "ran": "[green]done[/]",
    "cached": "[dim]unchanged[/]",
    "failed": "[red]failed[/]",
    "stopped": "[yellow]stopped[/]",
    "refused": "[yellow]waits for DVC[/]",
    "preempted": "[yellow]saved, goes on[/]",
}
_PLAIN_SECONDS = 15.0


class Display:
    """Stages as they start, move and end. On a terminal bars move; elsewhere lines are printed."""

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
        self._started: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def live(self) -> Iterator[None]:
        """Bars move inside this block."""
        if not self.console.is_terminal:
            yield
            return
        with self._progress:
            yield

    def start(self, stage: str) -> None:
        with self._lock:
            self._started[stage] = time.monotonic()
            self._told[stage] = time.monotonic()
            if self.console.is_terminal:
                self._bars[stage] = self._progress.add_task("", total=1, stage=stage, note="")
            else:
                self.console.print(f"  {stage:<24} started", highlight=False)

    def move(self, stage: str, bar: Bar) -> None:
        with self._lock:
            if self.console.is_terminal:
                self._progress.update(
                    self._bars[stage],
                    description=bar.what,
                    completed=bar.done,
                    total=bar.total,
                    note=bar.note,
                )
            elif time.monotonic() - self._told[stage] > _PLAIN_SECONDS:
                self._told[stage] = time.monotonic()
                self.console.print(
                    f"  {stage:<24} {bar.what} {bar.done}/{bar.total} {bar.note}", highlight=False
                )

    def end(self, stage: str, outcome: str) -> None:
        """`outcome`: ran, cached, failed, stopped, refused or preempted."""
        with self._lock:
            if stage in self._bars:
                self._progress.remove_task(self._bars.pop(stage))
            began = self._started.pop(stage, None)
            spent = f"{time.monotonic() - began:6.1f} s" if began else ""
            self.console.print(f"  {stage:<24} {_MARKS[outcome]:<22} {spent}", highlight=False)


def wide_console() -> Console:
    """Where the output is no terminal, wide enough for tables to keep one line a row."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, 160))


def models_table(versions: list[dict[str, Any]]) -> Table:
    """Model, parameters, compute, accuracy with its error, champion or not."""
    table = Table(title=None, box=None, header_style="bold", pad_edge=False)
    table.add_column("version", justify="right")
    table.add_column("model")
    table.add_column("total params", justify="right")
    table.add_column("active params", justify="right")
    table.add_column("GFLOPs/token", justify="right")
    table.add_column("accuracy", justify="right")
    table.add_column("chance", justify="right")
    table.add_column("stage")
    for version in versions:
        champion = version["stage"] == "champion"
        note = " partial" if version["partial"] else ""
        table.add_row(
            str(version["version"]),
            version["name"],
            count(version["total_parameters"]),
            count(version["active_parameters"]),
            f"{version['flops_per_token'] / 1e9:.5g}",
            f"{100 * version['accuracy']:.1f} ± {100 * version['error']:.1f} %{note}",
            f"{100 * version['chance']:.1f} %",
            "★ champion" if champion else version["stage"],
            style="bold green" if champion else None,
        )
    return table


def count(number: float) -> str:
    """1234567 -> 1.23 M."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"
