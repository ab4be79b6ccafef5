"""Child processes of pages: their limits, and that there is only one at a time."""

import subprocess
import sys
import threading

import psutil
import pytest

from dashboard.child_process import ChildFailed, run_limited
from tests.dashboard.slow_child import MODULE
from tests.factories import ROOT, wait_for

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def _find_module(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def run(*arguments, folder, timeout_s=60, memory_mb=256, **options):
    return run_limited(
        MODULE, arguments, folder=folder, timeout_s=timeout_s, memory_mb=memory_mb, **options
    )


def test_child_process_is_ended_with_its_own_children_after_the_limit(tmp_path):
    with pytest.raises(ChildFailed, match=r"no answer within 3 s, so it was ended"):
        run("start", folder=tmp_path, timeout_s=3)
    pid = int((tmp_path / "pid").read_text())
    assert wait_for(lambda: not is_alive(pid), 10)


def test_child_process_ends_with_the_dashboard(tmp_path):
    with subprocess.Popen([sys.executable, "-m", MODULE, "dashboard"], cwd=tmp_path) as dashboard:
        try:
            assert wait_for((tmp_path / "pid").exists, 30)
        finally:
            dashboard.kill()
    pid = int((tmp_path / "pid").read_text())
    assert wait_for(lambda: not is_alive(pid), 10)


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_child_process_has_no_more_memory_than_the_limit(tmp_path):
    result = run("allocate", "100", folder=tmp_path, text="größer")
    assert (result.returncode, result.stdout) == (0, f"{100 * 1024**2} größer\n")
    result = run("allocate", "400", folder=tmp_path)
    assert (result.returncode, result.last_line) == (1, "MemoryError")


def test_second_child_process_is_refused_while_the_first_runs(tmp_path):
    errors = []

    def start():
        try:
            run("start", folder=tmp_path, timeout_s=3)
        except ChildFailed as error:
            errors.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    assert wait_for((tmp_path / "pid").exists, 30)
    with pytest.raises(ChildFailed, match="another call of the dashboard runs"):
        run("allocate", "1", folder=tmp_path)
    thread.join()
    assert len(errors) == 1
    assert run("allocate", "1", folder=tmp_path).returncode == 0
