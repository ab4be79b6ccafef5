"""Ctrl-C, a kill, and a second run at the same time: nothing is left behind, nothing is lost."""

import json
import os
import signal
import time

import psutil

from tests.conftest import last_step, wait_for


def long_training(project):
    params = project.params()
    params["models"]["runs"]["moe_instruct"]["steps"] = 100
    project.write_params(params)
    return project


def processes_of(folder):
    """Processes that work below the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and str(folder) in process.cwd():
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_ctrl_c_leaves_no_orphan_and_a_rerun_continues(finished_copy):
    project = long_training(finished_copy)
    folder = project.folder
    checkpoints = folder / ".flanmoe" / "checkpoints" / "moe_instruct"
    running = project.start("run")
    assert wait_for(lambda: last_step(checkpoints) > 0, 120)
    second = project.call("run")
    assert second.returncode == 1
    assert f"another run (process {running.pid}) works in" in second.stderr
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 130, output
    assert "the same command continues" in output
    assert "Traceback" not in output
    assert wait_for(lambda: not processes_of(folder), 10), processes_of(folder)
    step = last_step(checkpoints)
    assert 0 < step < 100
    assert not list(folder.rglob("*.partial"))

    params = project.params()
    done = project.call("run")
    assert done.returncode == 0, done.stdout + done.stderr
    log = (folder / "runs" / "moe_instruct" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["step"] == params["models"]["runs"]["moe_instruct"]["steps"]
    record = json.loads((folder / "runs" / "moe_instruct" / "run.json").read_text())
    assert record["resumed_from"] >= step
    assert not checkpoints.exists()


def test_a_stage_is_tried_again_when_dvc_is_busy(finished_copy):
    """Somebody else's DVC command holds the repository's lock for a while."""
    from dvc.repo import Repo

    params = finished_copy.params()
    params["models"]["evaluation"]["batch_size"] = 32
    finished_copy.write_params(params)
    running = finished_copy.start("run")
    output = []
    for line in running.stdout:
        output.append(line)
        if "started" in line:
            break
    with Repo(str(finished_copy.folder)) as repo, repo.lock:
        time.sleep(8)
    rest, _ = running.communicate(timeout=120)
    output = "".join(output) + rest
    assert running.returncode == 0, output
    assert "waits for DVC" in output
    assert output.count("evaluate@moe_base        done") == 1


def test_a_killed_run_takes_its_children_with_it(finished_copy):
    project = long_training(finished_copy)
    checkpoints = project.folder / ".flanmoe" / "checkpoints" / "moe_instruct"
    running = project.start("run")
    assert wait_for(lambda: last_step(checkpoints) > 0, 120)
    assert len(processes_of(project.folder)) > 2
    running.send_signal(signal.SIGKILL)
    running.wait(20)
    assert wait_for(lambda: not processes_of(project.folder), 20), processes_of(project.folder)
    # The lock went with the process: the next command is not refused.
    assert project.call("check").returncode == 0
