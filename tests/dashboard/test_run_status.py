"""Whether a run is alive, from the lease that a real trainer holds."""

import os
import time

import pytest

from dashboard.run_status import read_status
from models.training.trainer_lease import hold_lease

NOW = time.time()


@pytest.fixture
def checkpoints(tmp_path):
    """Return the folder of a run's checkpoints."""
    folder = tmp_path / "moe-0"
    folder.mkdir()
    return folder


@pytest.fixture
def lease(checkpoints):
    """Hold the lease of the run, as its trainer does; return its file."""
    path = checkpoints.with_name("moe-0.lease")
    with hold_lease(path):
        yield path


def lines(*ages):
    return [{"step": i, "time": NOW - age} for i, age in enumerate(ages)]


def test_read_status_of_a_trainer_that_logs_is_training(checkpoints, lease):
    assert read_status(checkpoints, lines(20, 10, 1), NOW).state == "training"
    assert read_status(checkpoints, [], NOW).state == "training"


def test_read_status_of_a_trainer_that_logs_no_more_is_stalled(checkpoints, lease):
    status = read_status(checkpoints, lines(1020, 1010, 1000), NOW)
    assert (status.state, status.since) == ("stalled", NOW - 1000)
    assert "has logged nothing for 17 minutes" in status.describe(NOW)
    slow = lines(3000, 2000, 1000)  # its usual interval is 1000 s
    assert read_status(checkpoints, slow, NOW).state == "training"


def test_read_status_without_renewal_is_killed(checkpoints, lease):
    os.utime(lease, (NOW - 3 * 86_400,) * 2)
    status = read_status(checkpoints, lines(3 * 86_400), NOW)
    assert status.state == "killed"
    assert "killed: no heartbeat for 3 days" in status.describe(NOW)


def test_read_status_of_a_process_that_ended_is_killed_at_once(checkpoints, lease):
    content = lease.read_text()
    ended = content.replace(f'"pid": {os.getpid()}', '"pid": 4194305')  # above the largest pid
    assert ended != content
    lease.write_text(ended)
    assert read_status(checkpoints, lines(1), NOW).state == "killed"


def test_read_status_without_a_lease_is_stopped(checkpoints):
    status = read_status(checkpoints, lines(7200), NOW)
    assert (status.state, status.describe(NOW)) == (
        "stopped", "stopped 2 hours ago; the same command resumes it",
    )  # fmt: skip
