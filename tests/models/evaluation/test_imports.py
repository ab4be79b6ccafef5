"""Packages that models/evaluation imports: the predictor runs without the harness."""

import subprocess
import sys
from pathlib import Path

import pytest

import models.evaluation

HARNESS = {"lm_eval", "datasets", "transformers"}
SCRIPT = Path(__file__).with_name("imported_packages.py")


@pytest.mark.process
def test_predictor_imports_few_packages_and_only_the_adapter_the_harness():
    folder = Path(models.evaluation.__file__).parent
    names = {path.stem for path in folder.glob("*.py")} - {"__init__", "adapter"}
    others = [f"models.evaluation.{name}" for name in names] + ["models.stages.evaluate"]
    groups = ("torch,numpy,sentencepiece", "models.evaluation.predictor", ",".join(others))
    done = subprocess.run(
        [sys.executable, SCRIPT, *groups],
        capture_output=True, text=True, check=True, cwd=folder.parents[1],
    )  # fmt: skip
    with_torch, with_predictor, with_others = (
        set(line.split()) for line in done.stdout.splitlines()
    )
    assert with_predictor - with_torch <= {"models", "data_pipelines"}
    assert not with_others & HARNESS
