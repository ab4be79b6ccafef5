"""Peak memory of the data stages is independent of the size of the input."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def measure(folder, num_rows):
    """Run the data stages over generated rows in a separate process.

    Returns:
        `num_examples`, and `peak_kib`, the peak resident memory in KiB.
    """
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.data_pipelines.memory_probe", str(folder), str(num_rows)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.process
@pytest.mark.timeout(400)
def test_peak_memory_for_ten_times_the_rows_does_not_grow(tmp_path):
    small = measure(tmp_path / "small", 4_000)
    large = measure(tmp_path / "large", 40_000)
    assert large["num_examples"] > 9 * small["num_examples"]
    assert large["peak_kib"] <= 1.15 * small["peak_kib"], (small, large)
