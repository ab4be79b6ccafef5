"""A run goes on when the process that reads its output has ended."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories import user_environment

pytestmark = pytest.mark.process
SCRIPT = Path(__file__).with_name("print_to_lost_reader.py")


def test_output_to_a_reader_that_has_ended_is_discarded(tmp_path):
    """Without it, rich ends the process with exit code 1 at the first line."""
    result = tmp_path / "result"
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(result)],
        env=user_environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.close()
    process.stderr.close()
    process.stdin.close()  # the script waits for this
    assert process.wait(60) == 0
    assert result.read_text() == "went on"
