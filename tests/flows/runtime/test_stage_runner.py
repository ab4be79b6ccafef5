"""One stage through DVC: its progress, its outcome, and the reason of a failure."""

import sys
from pathlib import Path

import pytest

from flows.errors import LockRefused, StageFailed, StageInterrupted, StagePreempted
from flows.runtime.processes import ProcessGroups
from flows.runtime.stage_runner import StageProgress, log_file, run_with_dvc

pytestmark = pytest.mark.process

PRINT_LINES = Path(__file__).with_name("print_lines.py")


class ScriptedProcesses(ProcessGroups):
    """Starts a script in the place of DVC that prints lines and exits with a code."""

    def __init__(self, code, *lines):
        super().__init__()
        self.script = [sys.executable, str(PRINT_LINES), str(code), *lines]

    def start(self, command, *, cwd, environment, output):
        assert command[1:] == ["-m", "dvc", "repro", "--single-item", "mix"]
        return super().start(self.script, cwd=cwd, environment=environment, output=output)


def run(tmp_path, code, *lines):
    """Run the stage `mix` on a DVC that prints the lines; return status and progress."""
    progress = []
    status = run_with_dvc("mix", tmp_path, ScriptedProcesses(code, *lines), progress.append)
    return status, progress


def test_run_with_dvc_running_stage_returns_ran(tmp_path):
    assert run(tmp_path, 0, "Running stage 'mix':", "> flanmoe mix") == ("ran", [])
    assert log_file(tmp_path, "mix").read_text() == "Running stage 'mix':\n> flanmoe mix\n"


def test_run_with_dvc_unchanged_stage_returns_cached(tmp_path):
    assert run(tmp_path, 0, "Stage 'mix' didn't change, skipping") == ("cached", [])


def test_run_with_dvc_bars_are_progress_and_not_logged(tmp_path):
    bars = "@bar|rows|10|40||\r@bar|rows: |20|40|, 5 rows/s|"
    _, progress = run(tmp_path, 0, "Running stage 'mix':", bars)
    assert progress == [
        StageProgress(description="rows", completed=10, total=40, note=""),
        StageProgress(description="rows", completed=20, total=40, note="5 rows/s"),
    ]
    assert "@bar" not in log_file(tmp_path, "mix").read_text()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("error: no rows", "error: later", "ERROR: failed to reproduce 'mix'"), "no rows"),
        (("text", "ERROR: failed to reproduce 'mix'"), "failed to reproduce 'mix'"),
        (("Traceback", "ValueError: x"), "ValueError: x"),
        ((), "ended with code 1"),
    ],
)
def test_run_with_dvc_failure_names_the_first_cause_and_the_log(tmp_path, lines, reason):
    with pytest.raises(StageFailed) as caught:
        run(tmp_path, 1, *lines)
    assert str(caught.value) == f"mix: {reason} (log: {log_file(tmp_path, 'mix')})"


@pytest.mark.parametrize(
    "line", ["ERROR: Unable to acquire lock.", "ERROR: 'x' is busy, it is being blocked by:"]
)
def test_run_with_dvc_refused_lock_raises_lock_refused(tmp_path, line):
    with pytest.raises(LockRefused, match="mix: "):
        run(tmp_path, 1, line)


def test_run_with_dvc_exit_75_of_the_stage_raises_stage_preempted(tmp_path):
    with pytest.raises(StagePreempted, match="run it again to resume"):
        run(tmp_path, 1, "ERROR: failed to run: flanmoe mix, exited with 75")


def test_run_with_dvc_after_stop_raises_stage_interrupted(tmp_path):
    processes = ScriptedProcesses(0)
    processes.stop()
    with pytest.raises(StageInterrupted, match="was not started"):
        run_with_dvc("mix", tmp_path, processes, print)
