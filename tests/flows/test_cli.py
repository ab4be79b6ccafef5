"""The entry point: exit codes in a real process, and `--help` without heavy imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories import Project, user_environment

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--help",), 0),
        (("--version",), 0),
        (("check",), 0),
        (("check", "--params", "missing.yaml"), 1),
        (("train", "nobody"), 1),
        (("models", "--json"), 0),
        (("models", "match", "nothing"), 1),
        (("data", "catalog", "--json"), 0),
        (("no_such_command",), 2),
        (("run", "--no-such-option"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_command_exit_code(words, code):
    root = Path(__file__).parent.parent.parent
    done = Project(root).call(*words)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_help_imports_no_heavy_package():
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("import_help.py"))],
        capture_output=True, text=True, env=user_environment(), check=False,
        cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
