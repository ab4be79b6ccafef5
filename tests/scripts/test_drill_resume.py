"""`scripts/drill_resume` in a shortened size: 2 kills, one while a checkpoint is written."""

import json
import subprocess
import sys

import pytest

from tests.factories import ROOT, user_environment

pytestmark = pytest.mark.process


def test_drill_resume_two_kills_gives_the_same_weights(tmp_path):
    target = tmp_path / "drill.json"
    command = [sys.executable, "scripts/drill_resume", "--kills", "2", "--json", str(target)]
    done = subprocess.run(
        command, cwd=ROOT, env=user_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(target.read_text())
    assert report["kills"] == 2
    assert report["identical"]
