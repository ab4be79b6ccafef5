"""Each benchmark with --quick: it ends, and writes figures that are numbers."""

import json
import math
import subprocess
import sys

import pytest

from tests.factories import ROOT, user_environment

pytestmark = pytest.mark.process


WITH_PROCESSES = ("data", "provenance", pytest.param("orchestration", marks=pytest.mark.full))
"""Benchmarks that start processes of their own; a forked process would start them wrongly."""
OTHERS = (
    *("evaluation", "model", "moe_layer", "scaling", "training"),
    *("interval_coverage", "promotion_error", "registry", "sequential_error"),
)


def numbers(value):
    """Yield every number of nested JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def assert_finite_figures(file):
    figures = list(numbers(json.loads(file.read_text())))
    assert figures, file
    assert all(math.isfinite(figure) for figure in figures), file


@pytest.mark.parametrize("name", WITH_PROCESSES)
def test_benchmark_quick_writes_finite_figures(name, tmp_path):
    target = tmp_path / "figures.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json", str(target)]
    done = subprocess.run(
        command, cwd=ROOT, env=user_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert_finite_figures(target)


def test_other_benchmarks_quick_write_finite_figures(tmp_path):
    """In one test, as they share a process that imports torch, transformers and the registry."""
    command = [sys.executable, "-m", "tests.benchmarks.run_quick", tmp_path, *OTHERS]
    done = subprocess.run(
        command, cwd=ROOT, env=user_environment(), capture_output=True, text=True, check=False
    )
    logs = [f"{path.name}: {path.read_text()[-1500:]}" for path in tmp_path.glob("*.log")]
    assert done.returncode == 0, "\n".join([done.stderr[-2000:], *logs])
    for name in OTHERS:
        assert_finite_figures(tmp_path / f"{name}.json")
