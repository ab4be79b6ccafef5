"""`scripts/drill_registry` with 4 processes of 6 decisions and 2 kills of each kind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories import ROOT, user_environment

pytestmark = pytest.mark.process


def test_drill_registry_loses_nothing(tmp_path):
    target = tmp_path / "drill.json"
    command = [sys.executable, "scripts/drill_registry", "--processes", "4", "--changes", "6",
               "--kills", "2", "--json", str(target)]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env=user_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    databases = json.loads(target.read_text())["databases"]
    is_postgres_installed = any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert list(databases) == ["sqlite", "postgresql"][: 1 + is_postgres_installed]
    for report in databases.values():
        assert report["faults"] == []
        assert report["decisions"]["accepted"] > 0
        assert report["decisions"]["observations"] > 0
