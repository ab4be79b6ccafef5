"""Each benchmark with --quick: it ends, and writes figures that are numbers."""

import json
import math
import subprocess
import sys

import pytest

from tests.factories import ROOT, user_environment

pytestmark = pytest.mark.process


def numbers(value):
    """Yield every number of nested JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


@pytest.mark.parametrize(
    "name", ["data", "evaluation", "model", "moe_layer", "provenance", "scaling", "training"]
)
def test_benchmark_quick_writes_finite_figures(name, tmp_path):
    target = tmp_path / "figures.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json", str(target)]
    done = subprocess.run(
        command, cwd=ROOT, env=user_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    figures = list(numbers(json.loads(target.read_text())))
    assert figures
    assert all(math.isfinite(figure) for figure in figures)
