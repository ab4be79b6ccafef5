"""Process groups: how they end on the first and the second Ctrl-C, and with their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.runtime import processes as processes_module
from flows.runtime.parent_watch import PARENT_VARIABLE
from flows.runtime.processes import ProcessGroups, stop_on_signal
from tests.factories import wait_for

pytestmark = pytest.mark.process

SCRIPTS = Path(__file__).parent
TIMEOUT_S = 30


def start_script(groups, name, tmp_path):
    """Start a script that creates a file when it is ready, and wait for that."""
    ready = tmp_path / f"ready-{time.monotonic_ns()}"
    process = groups.start(
        [sys.executable, str(SCRIPTS / name), str(ready)],
        cwd=tmp_path,
        environment={},
        output=subprocess.DEVNULL,
    )
    assert wait_for(ready.exists, TIMEOUT_S)
    return process


def has_members(process):
    """Return whether any process of the group is alive."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def groups():
    """Process groups that end with the test."""
    groups = ProcessGroups()
    yield groups
    groups.stop()
    groups.stop()


def test_stop_twice_kills_a_process_that_ignores_sigterm(groups, tmp_path):
    process = start_script(groups, "ignore_sigterm.py", tmp_path)
    groups.stop()
    time.sleep(0.5)
    assert process.poll() is None
    groups.stop()
    assert process.wait(5) == -signal.SIGKILL


def test_stop_once_kills_after_the_grace_period(groups, tmp_path, monkeypatch):
    monkeypatch.setattr(processes_module, "CHECKPOINT_GRACE_S", 0.3)
    process = start_script(groups, "ignore_sigterm.py", tmp_path)
    groups.stop()
    assert process.wait(TIMEOUT_S) == -signal.SIGKILL


def test_stop_second_signal_kills(groups, tmp_path):
    """Ctrl-C twice, as a terminal sends it."""
    process = start_script(groups, "ignore_sigterm.py", tmp_path)
    with stop_on_signal(groups):
        os.kill(os.getpid(), signal.SIGINT)
        assert groups.stopping.is_set()
        time.sleep(0.3)
        assert process.poll() is None
        os.kill(os.getpid(), signal.SIGINT)
        assert process.wait(5) == -signal.SIGKILL


def test_stop_on_signal_restores_the_handlers(groups):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stop_on_signal(groups):
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_start_after_stop_starts_nothing(groups, tmp_path):
    groups.stop()
    command = [sys.executable, "-c", "pass"]
    assert groups.start(command, cwd=tmp_path, environment={}, output=subprocess.DEVNULL) is None


def test_stop_leaves_discarded_processes_running(groups, tmp_path):
    process = start_script(groups, "ignore_sigterm.py", tmp_path)
    groups.discard(process)
    groups.stop()
    groups.stop()
    time.sleep(0.3)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(5)


def test_end_kills_descendants_of_a_leader_that_has_ended(groups, tmp_path):
    process = start_script(groups, "start_child.py", tmp_path)
    assert wait_for(lambda: process.poll() is not None, TIMEOUT_S)
    assert has_members(process)
    groups.end(process)
    assert wait_for(lambda: not has_members(process), 5)


def test_end_with_parent_ends_the_child_of_a_killed_parent(tmp_path):
    parent = subprocess.Popen(["sleep", "120"])
    ready = tmp_path / "ready"
    child = subprocess.Popen(
        [sys.executable, str(SCRIPTS / "watch_parent.py"), str(ready)],
        env={**os.environ, PARENT_VARIABLE: str(parent.pid)},
        start_new_session=True,
    )
    try:
        assert wait_for(ready.exists, TIMEOUT_S)
        parent.kill()
        parent.wait(5)
        assert child.wait(TIMEOUT_S) == -signal.SIGKILL
    finally:
        for process in (parent, child):
            if process.poll() is None:
                process.kill()


def test_end_with_parent_ends_the_stage_of_a_killed_dvc_without_a_run(tmp_path):
    """`dvc repro` by hand: the next one must not start a second copy of the stage."""
    dvc = [sys.executable, "-m", "dvc"]
    environment = {k: v for k, v in os.environ.items() if k != PARENT_VARIABLE}
    subprocess.run([*dvc, "init", "-q", "--no-scm"], cwd=tmp_path, check=True)
    script = f"{sys.executable} {SCRIPTS / 'watch_parent.py'} ready"
    (tmp_path / "dvc.yaml").write_text(f"stages: {{wait: {{cmd: '{script}'}}}}\n")
    repro = subprocess.Popen([*dvc, "repro"], cwd=tmp_path, env=environment)
    try:
        assert wait_for((tmp_path / "ready").exists, TIMEOUT_S)
        (stage,) = [p for p in psutil.Process(repro.pid).children() if p.is_running()]
    finally:
        repro.kill()
        repro.wait(5)
    assert wait_for(lambda: not stage.is_running(), 10)
