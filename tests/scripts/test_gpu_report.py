"""`scripts/gpu_report` on a machine without a GPU, and with few packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.factories import ROOT

pytestmark = pytest.mark.process
WORKERS = Path(__file__).parent / "workers"


def call(*command, **environment):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_gpu_report_without_a_gpu_prints_a_line_and_exits_with_0():
    done = call("scripts/gpu_report")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "gpu_report: no CUDA device; nothing to test or measure\n"


def test_gpu_report_check_imports_needs_no_heavy_package():
    worker = WORKERS / "gpu_report_without_heavy_packages.py"
    done = call(worker, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "imports: ok"
    assert "test_output_and_gradients_on_cuda_equal_the_reference[switch" in done.stdout
