"""`scripts/drill_orchestration` in a shortened size: 1 round, which kills the flow's process.

It takes about a minute of CPU: a Prefect server, and three runs, of which two train and evaluate.
"""

import json
import subprocess
import sys

import pytest

from tests.factories import ROOT, user_environment

pytestmark = [pytest.mark.process, pytest.mark.e2e]


def test_drill_orchestration_killed_flow_gives_the_undisturbed_result(finished_copy, tmp_path):
    target = tmp_path / "drill.json"
    command = [
        sys.executable, "scripts/drill_orchestration", "--rounds", "1", "--targets", "flow",
        "--seed", "1", "--project", str(finished_copy.folder), "--json", str(target),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env=user_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(target.read_text())["flow"]
    assert report["rounds"] == report["identical"] == report["hits"] == 1
    assert report["max_attempts"] == 2
    assert report["outputs_compared"] > 10
    assert report["stage_samples"] > 0
    assert report["samples_with_two_copies"] == report["left_running"] == 0
