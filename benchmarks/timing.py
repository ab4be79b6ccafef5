"""Measuring side by side: what every benchmark in one process shares."""

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


def interleaved(
    cases: dict[str, Callable[[], object]], turns: int, warm: int = 2
) -> dict[str, float]:
    """Median seconds of each case; every turn runs each once, so that noise meets all of them."""
    for run in cases.values():
        for _ in range(warm):
            run()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(turns):
        for name, run in cases.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def machine(*packages: str) -> dict[str, Any]:
    """What gave the figures: processor, threads, versions, command."""
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


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    made = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    made.add_argument("--quick", action="store_true", help="less of everything, under a minute")
    made.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")
    return made


def begin(description: str | None) -> tuple[int, argparse.Namespace]:
    """For a benchmark of models: (turns, options); all threads, memory as in training."""
    import torch  # the data room's benchmark needs none of it

    from models.allocation import keep_freed_memory

    options = parser(description)
    options.add_argument("--turns", type=int, default=9, help="measurements of each")
    chosen = options.parse_args()
    torch.set_num_threads(THREADS)
    keep_freed_memory()
    return 3 if chosen.quick else chosen.turns, chosen


def times_dense(seconds: dict[str, float]) -> dict[str, Any]:
    """The dense layer's milliseconds, and every other case's time as a multiple of them."""
    dense = seconds["dense"]
    return {
        "dense_ms": round(dense * 1e3, 3),
        "times_dense": {n: round(s / dense, 3) for n, s in seconds.items() if n != "dense"},
    }


def write(figures: dict[str, Any], path: Path | None) -> None:
    """The figures as JSON, where asked."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
