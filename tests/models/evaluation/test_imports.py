"""Packages that models/evaluation imports: the predictor runs without the harness."""

import subprocess
import sys
from pathlib import Path

import pytest

import models.evaluation

HARNESS = {"lm_eval", "datasets", "transformers"}
SCRIPT = Path(__file__).with_name("imported_packages.py")


def imported_packages(*modules):
    result = subprocess.run(
        [sys.executable, SCRIPT, *modules], capture_output=True, text=True, check=True,
        cwd=Path(models.evaluation.__file__).parents[2],
    )  # fmt: skip
    return set(result.stdout.split())


@pytest.mark.process
def test_modules_other_than_the_adapter_import_without_the_harness():
    names = {path.stem for path in Path(models.evaluation.__file__).parent.glob("*.py")}
    modules = [f"models.evaluation.{name}" for name in names - {"__init__", "adapter"}]
    assert not imported_packages(*modules, "models.stages.evaluate") & HARNESS


@pytest.mark.process
def test_predictor_imports_only_torch_numpy_and_sentencepiece():
    with_torch = imported_packages("torch", "numpy", "sentencepiece")
    packages = imported_packages("models.evaluation.predictor")
    assert packages - with_torch <= {"models", "data_pipelines"}
