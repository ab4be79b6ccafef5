"""Measure what orchestration adds to the stages themselves.

    python -m benchmarks.orchestration --quick              # few stages: checks that it runs
    python -m benchmarks.orchestration --json figures.json

Stages that do nothing but write a file run as a flow against a running Prefect server, and by hand
as commands of a shell, in turns. The time per stage is the slope between two numbers of stages in a
chain; what remains is the fixed start. Independent stages show the growth with their number.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.timing import argument_parser, machine_info, write_figures
from flows.runtime.prefect_server import start_api
from flows.runtime.processes import ProcessGroups

logger = logging.getLogger(__name__)
ROOT = Path(__file__).parent.parent
MAX_STAGE_OVERHEAD_S = 0.5
MAX_UNCHANGED_S, MAX_UNCHANGED_STAGE_S = 2.0, 0.1
MAX_HELP_S = 0.3


def main() -> None:
    """Measure, print a table, and write the figures with --json."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argument_parser(__doc__)
    parser.add_argument("--turns", type=int, default=3, help="measurements of each figure")
    options = parser.parse_args()
    chain, parallel = ((1, 3), (2,)) if options.quick else ((5, 20), (25, 50, 100))
    turns = 1 if options.quick else options.turns
    with tempfile.TemporaryDirectory(prefix="flanmoe-benchmark-") as name, _server(Path(name)):
        folder = Path(name)
        figures = {
            "machine": machine_info("prefect", "dvc"),
            "load_average_at_start": os.getloadavg()[0],
            **_measure_chain(folder, chain, turns),
            "parallel_seconds": {
                str(count): _median(lambda count=count: _run(_project(folder, count, False)), 1)
                for count in parallel
            },
            "help_seconds": _median(_time_help, 2 * turns),
        }
    print(_format_table(figures))
    write_figures(figures, options.json)


@contextmanager
def _server(folder: Path) -> Iterator[None]:
    with start_api(folder, ProcessGroups()) as api:
        api.await_healthy()
        yield


def _measure_chain(folder: Path, sizes: tuple[int, int], turns: int) -> dict[str, Any]:
    """Measure chains of two lengths as flows, unchanged, and by hand."""
    projects = {count: _project(folder, count, True) for count in sizes}
    seconds: dict[str, dict[int, list[float]]] = {
        name: {count: [] for count in sizes} for name in ("flow", "unchanged", "by_hand")
    }
    for _ in range(turns):
        for count, project in projects.items():
            seconds["flow"][count].append(_run(project, force=True))
            seconds["unchanged"][count].append(_run(project))
            seconds["by_hand"][count].append(_run_by_hand(project, count))
    flow, unchanged, by_hand = (
        [statistics.median(turn_seconds) for turn_seconds in seconds[name].values()]
        for name in ("flow", "unchanged", "by_hand")
    )
    span = sizes[1] - sizes[0]
    per_stage = (flow[1] - flow[0] - (by_hand[1] - by_hand[0])) / span
    return {
        "num_stages": list(sizes),
        "flow_seconds": flow,
        "unchanged_seconds": unchanged,
        "by_hand_seconds": by_hand,
        "overhead_per_stage_seconds": per_stage,
        "fixed_seconds": flow[0] - by_hand[0] - sizes[0] * per_stage,
    }


def _project(folder: Path, num_stages: int, is_chain: bool) -> Path:
    """Create a project whose stages each write a file, one after another or independently."""
    project = folder / f"{'chain' if is_chain else 'parallel'}-{num_stages}"
    project.mkdir()
    stages: Mapping[str, Any] = {
        f"s{i}": {
            "cmd": f"echo {i} > out{i}",
            "deps": [f"out{i - 1}"] if is_chain and i else [],
            "outs": [f"out{i}"],
        }
        for i in range(num_stages)
    }
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    shutil.copyfile(ROOT / "params.yaml", project / "params.yaml")
    _call([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], project)
    return project


def _run(project: Path, *, force: bool = False) -> float:
    """Return the seconds of the flow; `force` makes DVC run every stage."""
    if force:
        (project / "dvc.lock").unlink(missing_ok=True)
        shutil.rmtree(project / ".dvc" / "cache" / "runs", ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.orchestration_run", str(project)]
    output = _call(command, ROOT)
    return float(json.loads(output.splitlines()[-1])["seconds"])


def _run_by_hand(project: Path, num_stages: int) -> float:
    start = time.perf_counter()
    for i in range(num_stages):
        _call(["/bin/sh", "-c", f"echo {i} > out{i}"], project)
    return time.perf_counter() - start


def _time_help() -> float:
    start = time.perf_counter()
    _call([sys.executable, "-m", "flows", "--help"], ROOT)
    return time.perf_counter() - start


def _call(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _median(measure: Any, turns: int) -> float:
    return statistics.median(measure() for _ in range(turns))


def _format_table(figures: dict[str, Any]) -> str:
    count, unchanged = figures["num_stages"][1], figures["unchanged_seconds"][1]
    rows = [
        ("overhead per stage", figures["overhead_per_stage_seconds"], MAX_STAGE_OVERHEAD_S),
        ("fixed start", figures["fixed_seconds"], None),
        (
            f"{count} unchanged stages",
            unchanged,
            MAX_UNCHANGED_S + count * MAX_UNCHANGED_STAGE_S,
        ),
        ("flanmoe --help", figures["help_seconds"], MAX_HELP_S),
        *(
            (f"{stages} parallel stages", seconds, None)
            for stages, seconds in figures["parallel_seconds"].items()
        ),
    ]
    lines = ["| measured | seconds | goal |", "|---|---|---|"]
    lines += [
        f"| {name} | {seconds:.2f} | {'' if goal is None else f'{goal:.2f}'} |"
        for name, seconds, goal in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
