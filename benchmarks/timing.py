"""Interleaved timing, command-line options and reports, shared by the benchmarks."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

THREADS = len(os.sched_getaffinity(0))


def time_interleaved(
    cases: dict[str, Callable[[], object]], turns: int, warmup: int = 2
) -> dict[str, float]:
    """Time functions in turn, so that noise affects all of them equally.

    Args:
        cases: functions by name.
        turns: measurements of each function.
        warmup: untimed calls of each function before the first turn.

    Returns:
        Median seconds by name.
    """
    for run in cases.values():
        for _ in range(warmup):
            run()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(turns):
        for name, run in cases.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def machine_info(*packages: str) -> dict[str, Any]:
    """Return processor, threads, versions and command, to be stored with the figures.

    Args:
        packages: distributions whose versions are included; null for one that is not installed.
    """
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "threads": THREADS,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "command": " ".join([f"python -m benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]]),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: check that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    return parser


def start_benchmark(description: str | None) -> tuple[int, argparse.Namespace]:
    """Parse the options of a model benchmark; set threads and allocation as in training.

    Returns:
        The number of turns, 1 with --quick, and all options.
    """
    import torch  # not needed by the data benchmark

    from models.allocation import keep_freed_memory

    parser = argument_parser(description)
    parser.add_argument("--turns", type=int, default=9, help="measurements of each case")
    options = parser.parse_args()
    # Small sizes gain nothing from more threads, which only wait for each other.
    torch.set_num_threads(1 if options.quick else THREADS)
    keep_freed_memory()
    return 1 if options.quick else options.turns, options


def relative_to_dense(seconds: dict[str, float]) -> dict[str, Any]:
    """Express times as multiples of the dense layer's time.

    Args:
        seconds: seconds by case, one of which is `dense`.
    """
    dense = seconds["dense"]
    return {
        "dense_ms": round(dense * 1e3, 3),
        "relative_time": {n: round(s / dense, 3) for n, s in seconds.items() if n != "dense"},
    }


def write_figures(figures: dict[str, Any], path: Path | None) -> None:
    """Write the figures as JSON, unless `path` is None."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
