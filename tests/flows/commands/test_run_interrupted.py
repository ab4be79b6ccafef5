"""`flanmoe run` stopped by Ctrl-C, killed, preempted: no process remains, no step is lost."""

import json
import os
import signal
import sqlite3

import psutil
import pytest

from tests.factories import PREFECT_DATABASE, last_checkpoint_step, wait_for

pytestmark = [pytest.mark.process, pytest.mark.e2e]

RUN = "moe_instruct"
STEPS = 80


def processes_below(folder):
    """Return the processes whose working directory lies below the folder."""
    processes = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and str(folder) in process.cwd():
                processes.append(process)
        except psutil.Error:
            continue
    return processes


def terminate_training(folder):
    """Send SIGTERM to the training process alone, as a preempted machine does."""
    for process in processes_below(folder):
        try:
            if process.cmdline()[-4:] == ["train", RUN, "--seed", "0"]:
                process.send_signal(signal.SIGTERM)
        except psutil.Error:
            continue


def last_state(folder, number=1):
    """Return the recorded state of the last flow run, or of an earlier one."""
    query = "SELECT state_type FROM flow_run ORDER BY start_time DESC LIMIT ?"
    with sqlite3.connect(folder / PREFECT_DATABASE) as connection:
        return connection.execute(query, (number,)).fetchall()[-1][0]


def start_and_wait_for_checkpoint(project, checkpoints, beyond):
    running = project.start("run")
    assert wait_for(lambda: last_checkpoint_step(checkpoints) > beyond, 300)
    return running


@pytest.mark.full
def test_run_interrupted_killed_and_preempted_resumes_each_time(finished_copy):
    project, folder = finished_copy, finished_copy.folder
    params = project.params()
    params["models"]["runs"][RUN]["steps"] = STEPS
    project.write_params(params)
    checkpoints = folder / ".flanmoe" / "checkpoints" / f"{RUN}-0"

    # A second run at the same time is rejected; Ctrl-C saves and ends every process.
    running = start_and_wait_for_checkpoint(project, checkpoints, beyond=0)
    second = project.invoke("run")
    assert second.returncode == 1
    assert f"process {running.pid}" in second.stderr
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 130, output
    assert "the same command" in output
    assert "Traceback" not in output
    assert wait_for(lambda: not processes_below(folder), 10), processes_below(folder)
    interrupted_step = last_checkpoint_step(checkpoints)
    assert 0 < interrupted_step < STEPS
    assert not [path for path in folder.rglob("*.partial") if path.is_file()]
    assert last_state(folder) == "CANCELLED"

    # SIGKILL of the run also ends its children and releases the workspace's lock.
    running = start_and_wait_for_checkpoint(project, checkpoints, beyond=interrupted_step)
    assert len(processes_below(folder)) > 2
    running.send_signal(signal.SIGKILL)
    running.wait(20)
    assert wait_for(lambda: not processes_below(folder), 20), processes_below(folder)
    killed_step = last_checkpoint_step(checkpoints)
    assert interrupted_step < killed_step < STEPS

    # A preempted stage is started again by the flow, which ends as if undisturbed. Its server
    # records that the killed run crashed.
    assert last_state(folder) == "RUNNING"
    running = start_and_wait_for_checkpoint(project, checkpoints, beyond=killed_step)
    assert last_state(folder, number=2) == "CRASHED"
    terminate_training(folder)
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, output
    assert "preempted" in output
    log = (folder / "runs" / RUN / "seed_0" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["step"] == STEPS
    record = json.loads((folder / "runs" / RUN / "seed_0" / "execution.json").read_text())
    assert record["resumed_from_step"] > killed_step
    assert not checkpoints.exists()
