"""Plain tables and numbers for the terminal. rich is imported when a table is built."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from registry.version_summary import ScoreInterval, VersionSummary
    from registry.versions import VersionInfo

MIN_WIDTH = 160


def plain_table(columns: Iterable[str]) -> Table:
    """Return an empty table without borders; fill it with `add_row`.

    Args:
        columns: names in the header. A name that starts with ">" is right-aligned, as in a format
            specification; the header omits the sign.
    """
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        is_right = column.startswith(">")
        table.add_column(
            column.removeprefix(">"), justify="right" if is_right else "left", overflow="fold"
        )
    return table


def add_plain_row(table: Table, *cells: str, style: str | None = None) -> None:
    """Add a row whose cells are shown as they are: text in brackets is no markup."""
    from rich.text import Text

    table.add_row(*(Text(printable(cell)) for cell in cells), style=style)


def printable(text: str) -> str:
    """Return a text in one line, with escapes for characters that would control the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def wide_console() -> Console:
    """Return a console on stdout; outside a terminal it is wide enough for one line per row."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, MIN_WIDTH))


def format_count(number: float) -> str:
    """Format a number with three digits and a unit: 1234567 -> "1.23 M"."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def format_bytes(number: int) -> str:
    """Format bytes in decimal units: 1.39e9 -> 1.39 GB."""
    return f"{format_count(number).replace('B', 'G')}B"


def format_flops(number: float | None) -> str:
    """Format FLOPs with three digits and a unit, or "unknown" for None."""
    if number is None:
        return "unknown"
    return f"{format_count(number).replace('B', 'G')}FLOPs"


def versions_table(versions: Sequence[VersionSummary]) -> Table:
    """Return a table of versions: parameters, compute, accuracy with standard error, state.

    Scores that a query names follow, in percent with their 95 % interval.
    """
    scores = sorted({name for version in versions for name in version.scores})
    table = plain_table(
        [">version", "model", ">seed", ">total params", ">active params", ">GFLOPs/token",
         ">accuracy", ">chance", "state", *(f">{name} [95 %]" for name in scores)]
    )  # fmt: skip
    for version in versions:
        note = " partial" if version.partial else ""
        add_plain_row(
            table,
            str(version.version),
            version.name,
            str(version.seed),
            format_count(version.total_parameters),
            format_count(version.active_parameters),
            f"{version.flops_per_token / 1e9:.5g}",
            f"{100 * version.accuracy:.1f} ± {100 * version.standard_error:.1f} %{note}",
            f"{100 * version.random_score:.1f} %",
            "★ champion" if version.is_champion else version.standing,
            *(_format_interval(version.scores.get(name)) for name in scores),
            style="bold green" if version.is_champion else None,
        )
    return table


def _format_interval(score: ScoreInterval | None) -> str:
    return "" if score is None else f"{score.value:.1f} ({score.low:.1f} … {score.high:.1f})"


def seeds_table(versions: Sequence[VersionInfo]) -> Table | None:
    """Return a table of the mean accuracy of each run over its seeds; None if all have one seed.

    The interval is that of Student's t over the seeds: how much the mean depends on the seeds, on
    these items.
    """
    from scipy.stats import t

    accuracies_by_run: dict[str, dict[int, float]] = {}
    for version in sorted(versions, key=lambda version: version.version):
        accuracies_by_run.setdefault(version.name, {})[version.seed] = version.evaluation.accuracy
    if all(len(accuracies) == 1 for accuracies in accuracies_by_run.values()):
        return None
    table = plain_table(["model", ">seeds", ">mean accuracy", ">95 % interval over seeds"])
    for name, accuracy_by_seed in accuracies_by_run.items():
        accuracies = list(accuracy_by_seed.values())
        mean, interval = statistics.mean(accuracies), "none: one seed"
        if len(accuracies) > 1:
            error = statistics.stdev(accuracies) / math.sqrt(len(accuracies))
            width = float(t.ppf(0.975, len(accuracies) - 1)) * error
            interval = f"{100 * (mean - width):.1f} … {100 * (mean + width):.1f} %"
        table.add_row(name, str(len(accuracies)), f"{100 * mean:.1f} %", interval)
    return table


def evaluation_lines(versions: Sequence[VersionInfo]) -> list[str]:
    """Return a line for each partial suite and each suite with problems of prompts or answers.

    A line that is the same for several versions is returned once, with their names.
    """
    from models.evaluation.problems import problem_lines

    seeds_by_name: dict[str, set[int]] = {}
    for version in versions:
        seeds_by_name.setdefault(version.name, set()).add(version.seed)
    names_by_line: dict[str, list[str]] = {}
    for version in versions:
        scores = version.evaluation
        partial = (f"{s.suite}: partial: {s.partial_reason}" for s in scores.suites if s.partial)
        for line in chain(partial, problem_lines(scores.tasks)):
            has_seeds = len(seeds_by_name[version.name]) > 1
            name = f"{version.name}-{version.seed}" if has_seeds else version.name
            names_by_line.setdefault(line, []).append(name)
    return [f"{', '.join(names)}, {line}" for line, names in names_by_line.items()]
