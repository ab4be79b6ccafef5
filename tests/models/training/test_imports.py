"""Training imports no orchestration or evaluation package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.training.factories import WORKERS

pytestmark = pytest.mark.process


def test_trainer_without_heavy_packages_trains_two_steps(tmp_path):
    done = subprocess.run(
        [sys.executable, WORKERS / "train_without_heavy_packages.py", tmp_path],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
