"""One stage through DVC: its progress, its outcome, and the reason of a failure."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from data_pipelines.progress import StageProgress
from flows.errors import LockRefused, StageFailed, StageInterrupted, StagePreempted
from flows.runtime.processes import ProcessGroups
from flows.runtime.stage_runner import log_file, run_with_dvc

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
    status = run_with_dvc("mix", tmp_path, ScriptedProcesses(code, *lines), progress.append, print)
    return status, progress


def test_run_with_dvc_passes_on_the_notes_of_the_stage(tmp_path):
    notes = []
    processes = ScriptedProcesses(0, "Running stage 'mix':", "note: set aside in x", "noted: y")
    run_with_dvc("mix", tmp_path, processes, print, notes.append)
    assert notes == ["set aside in x"]


def test_run_with_dvc_over_the_time_limit_is_stopped_and_fails(tmp_path):
    """The script ignores the end of its input, and ends with SIGTERM."""
    processes = ScriptedProcesses(0)
    processes.script = [sys.executable, "-c", "import time; print('began', flush=True); "
                        "time.sleep(600)"]  # fmt: skip
    start = time.monotonic()
    with pytest.raises(StageFailed, match=r"mix: stopped after 0.000278 hours, its limit; tr"):
        run_with_dvc("mix", tmp_path, processes, print, print, time_limit_s=1.0)
    assert 1.0 <= time.monotonic() - start < 60
    assert log_file(tmp_path, "mix").read_text().startswith("began\nerror: mix: stopped")


def test_run_with_dvc_running_stage_returns_ran(tmp_path):
    assert run(tmp_path, 0, "Running stage 'mix':", "> flanmoe mix") == ("ran", [])
    assert log_file(tmp_path, "mix").read_text() == "Running stage 'mix':\n> flanmoe mix\n"


def test_run_with_dvc_unchanged_stage_returns_cached(tmp_path):
    assert run(tmp_path, 0, "Stage 'mix' didn't change, skipping") == ("cached", [])


def test_run_with_dvc_failure_names_cause_and_log(tmp_path):
    lines = ("error: no rows", "ERROR: failed to reproduce 'mix'")
    with pytest.raises(StageFailed) as caught:
        run(tmp_path, 1, *lines)
    log = log_file(tmp_path, "mix")
    assert str(caught.value) == f"mix: no rows (log: {log})"
    assert log.read_text().splitlines() == [*lines, "error: mix: no rows"]


def test_run_with_dvc_log_on_a_full_disk_keeps_the_cause(tmp_path):
    log = log_file(tmp_path, "mix")
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")
    with pytest.raises(StageFailed, match="mix: no rows") as caught:
        run(tmp_path, 1, "error: no rows")
    assert str(caught.value).endswith(f"(log: {log}, incomplete: No space left on device)")
    assert run(tmp_path, 0, "Running stage 'mix':") == ("ran", [])


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A DVC repository; each stage fails in the way of its name."""
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=folder, check=True)
    script = PRINT_LINES.with_name("failing_stage.py")
    stages = {
        name: {"cmd": f"{sys.executable} {script} {name}"}
        for name in ("error", "killed", "full_disk", "dvc_killed")
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    return folder


@pytest.mark.parametrize(
    ("stage", "cause"),
    [
        ("error", "error: file.jsonl: row 7 is no JSON; correct it (log: "),
        ("killed", "killed: killed by SIGKILL, probably because memory ran out; free memory or "),
        ("full_disk", "full_disk: /dev/full: No space left on device; free disk space, then run "),
        ("dvc_killed", "dvc_killed: killed by SIGKILL, probably because memory ran out; free "),
    ],
)
def test_run_with_dvc_failure_under_an_open_bar_is_not_lost(repository, stage, cause):
    """The bar is progress and in no line; nothing of the stage survives it."""
    progress = []
    start = time.monotonic()
    with pytest.raises(StageFailed) as caught:
        run_with_dvc(stage, repository, ProcessGroups(), progress.append, print)
    assert str(caught.value).startswith(cause)
    log = log_file(repository, stage)
    assert f"(log: {log})" in str(caught.value)
    assert log.read_text().splitlines()[-1] == f"error: {caught.value}".partition(" (log: ")[0]
    assert "rows" not in log.read_text()
    assert progress[-1] == StageProgress(description="rows", completed=20, total=60, note="")
    assert time.monotonic() - start < 30  # a stage whose DVC is killed does not run on


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
        run_with_dvc("mix", tmp_path, processes, print, print)
