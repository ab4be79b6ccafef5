"""Measure the registry with many versions, beside MLflow's on SQLite.

    python -m benchmarks.registry --quick            # few versions: checks that it runs
    python -m benchmarks.registry --mlflow-python /tmp/mlflow/bin/python --json figures.json

Reads run in this process on an open registry, and so do the writes. MLflow runs in a process of a
Python that has it; both take turns. "create version" adds a run with its metrics and a version; in
flanmoe it also verifies and copies the run's files. The seconds of the processor ignore other load.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.registry_rows import fill_registry, task_names
from benchmarks.timing import argument_parser, machine_info, write_figures
from registry.comparison.compare import ComparisonConfig, compare
from registry.comparison.results import read_result
from registry.intake import read_submission
from registry.query.search import VersionQuery
from registry.store import Registry

ITEMS_PER_TASK = 100
MLFLOW_OPERATIONS = {
    "create version": "create",
    "set alias": "alias",
    "search by metric": "search",
}
Case = Callable[[], object]


def main() -> None:
    """Measure, print a table, and write the figures with --json."""
    parser = argument_parser(__doc__)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--metrics", type=int, default=100, help="metrics of each version")
    parser.add_argument("--turns", type=int, default=15, help="measurements of each operation")
    parser.add_argument(
        "--mlflow-python", type=Path, metavar="PATH", help="a Python that has mlflow 3"
    )
    options = parser.parse_args()
    sizes = (30, 12, 2) if options.quick else (options.versions, options.metrics, options.turns)
    num_versions, num_metrics, turns = sizes
    with tempfile.TemporaryDirectory(prefix="flanmoe-benchmark-") as temporary:
        project = Path(temporary)
        registry = Registry.open(project, create=True)
        fill_registry(registry.engine, num_versions, num_metrics)
        cases = {
            **_reads(registry, project, num_metrics),
            **_writes(registry, project, num_metrics, turns),
        }
        with _mlflow(options.mlflow_python, project, num_versions, num_metrics) as mlflow:
            measured = _take_turns(cases, mlflow, turns)
        registry.engine.dispose()
    figures = {
        "machine": machine_info("sqlalchemy", "pydantic"),
        "load_average": os.getloadavg()[0],
        "num_versions": num_versions,
        "num_metrics": num_metrics,
        "turns": turns,
        "mlflow": mlflow.version if mlflow else "not measured: --mlflow-python is not given",
        "milliseconds": measured,
    }
    _print_table(figures)
    write_figures(figures, options.json)


def _reads(registry: Registry, project: Path, num_metrics: int) -> dict[str, Case]:
    factories: Any = import_module("tests.registry.factories")
    for name, share in (("a", 3), ("b", 4)):
        scores = {
            task: [float((i * 7 + len(name)) % 10 < share) for i in range(ITEMS_PER_TASK)]
            for task in task_names(num_metrics)
        }
        factories.write_result(project / name, scores)

    def compare_results() -> None:
        first, second = (read_result(name, project / name) for name in ("a", "b"))
        compare([first], [second], ComparisonConfig(margin=0.01))

    def search(**query: Any) -> Case:
        return lambda: registry.search(VersionQuery(**query))

    return {
        "list": search(),
        "list, sorted by score": search(sort="suite.mmlu"),
        "where": search(where="suite.mmlu > 30 and gflops_per_token < 2"),
        "search text": search(text="person 7"),
        "search by metric": search(where="suite.mmlu > 30"),
        "show": lambda: registry.show("model", 1).to_full_dict(),
        "history": lambda: registry.history(limit=100),
        "compare": compare_results,
    }


def _writes(registry: Registry, project: Path, num_metrics: int, turns: int) -> dict[str, Case]:
    factories: Any = import_module("tests.registry.factories")
    folders = []
    for number in range(turns + 1):
        folder = project / "runs" / str(number)
        tasks = [factories.task_score(name, num_items=1) for name in task_names(num_metrics)]
        run, evaluation = (
            factories.run_record(f"new{number}"),
            factories.evaluation_record(f"new{number}", tasks),
        )
        factories.write_run(folder, project / "tokenizer", run=run, evaluation=evaluation)
        folders.append(folder)
    remaining = iter(folders)

    def register() -> None:
        registry.register("model", read_submission(next(remaining), project / "tokenizer"))

    return {
        "create version": register,
        "set alias": lambda: registry.set_alias("model", "staging", 1, actor="benchmark"),
    }


class MlflowProcess:
    """A process that performs operations with MLflow."""

    def __init__(self, python: Path, folder: Path, num_versions: int, num_metrics: int) -> None:
        script = Path(__file__).parent / "mlflow_registry.py"
        self.process = subprocess.Popen(
            [str(python), "-P", str(script), str(folder), str(num_versions), str(num_metrics)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.version = self.read()["mlflow"]

    def read(self) -> dict[str, Any]:
        """Return the next line of the process as JSON."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit("error: --mlflow-python: the process ended; is mlflow 3 installed there?")
        return dict(json.loads(line))

    def measure(self, operation: str) -> tuple[float, float]:
        """Perform an operation; return its seconds and its processor seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write(MLFLOW_OPERATIONS[operation] + "\n")
        self.process.stdin.flush()
        measured = self.read()
        return measured["seconds"], measured["cpu_seconds"]


@contextmanager
def _mlflow(
    python: Path | None, folder: Path, num_versions: int, num_metrics: int
) -> Iterator[MlflowProcess | None]:
    if python is None:
        yield None
        return
    mlflow = MlflowProcess(python, folder, num_versions, num_metrics)
    try:
        yield mlflow
    finally:
        mlflow.process.communicate()


def _take_turns(
    cases: dict[str, Case], mlflow: MlflowProcess | None, turns: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure each operation in turn, flanmoe and MLflow alternately; return medians."""
    measured: dict[str, dict[str, list[tuple[float, float]]]] = {name: {} for name in cases}
    for _ in range(turns + 1):  # the first is not counted
        for name, case in cases.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            case()
            seconds = (time.perf_counter() - start, time.process_time() - cpu_start)
            measured[name].setdefault("flanmoe", []).append(seconds)
            if mlflow is not None and name in MLFLOW_OPERATIONS:
                measured[name].setdefault("mlflow", []).append(mlflow.measure(name))
    return {
        name: {
            program: {
                "wall": round(1e3 * statistics.median(wall for wall, _ in times[1:]), 2),
                "processor": round(1e3 * statistics.median(cpu for _, cpu in times[1:]), 2),
            }
            for program, times in by_program.items()
        }
        for name, by_program in measured.items()
    }


def _print_table(figures: dict[str, Any]) -> None:
    print(
        f"{figures['num_versions']:,} versions × {figures['num_metrics']} metrics, MLflow "
        f"{figures['mlflow']}, load {figures['load_average']:.1f}; milliseconds (processor)"
    )
    for name, by_program in figures["milliseconds"].items():
        shown = "  ".join(
            f"{program} {times['wall']:8.1f} ({times['processor']:6.1f})"
            for program, times in by_program.items()
        )
        print(f"{name:<24}{shown}")


if __name__ == "__main__":
    main()
