"""Training in several processes: one dies, hangs, is preempted, or finds the disk full."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.training.preemption import EXIT_RESUMABLE
from tests.factories import last_checkpoint_step, user_environment
from tests.flows.fleet.factories import (
    RUN,
    configure_training,
    process_by_rank,
    run_record,
    start_training,
)

pytestmark = [pytest.mark.process, pytest.mark.multiprocess, pytest.mark.e2e]


def test_train_sigterm_saves_then_a_killed_process_restarts_with_the_others(finished_copy):
    """torchrun starts two processes; fairscale shards the optimizer state over them."""
    parallel = {"timeout_s": 60, "max_restarts": 1}
    checkpoints = configure_training(finished_copy, 60, processes_per_node=2, parallel=parallel)
    running = start_training(finished_copy, checkpoints)
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate(timeout=120)
    assert running.returncode == EXIT_RESUMABLE, output
    saved_step = last_checkpoint_step(checkpoints)
    assert not list(checkpoints.glob("*.partial"))

    # The next start resumes from the saved step.
    running = start_training(finished_copy, checkpoints, beyond=saved_step)
    step = last_checkpoint_step(checkpoints)
    state = json.loads((checkpoints / f"step-{step:08d}" / "state.json").read_text())
    assert state["progress"]["resumed_from_step"] == saved_step

    process_by_rank(finished_copy.folder)[1].send_signal(signal.SIGKILL)
    output, _ = running.communicate(timeout=180)
    assert running.returncode == 0, output
    record = run_record(finished_copy)
    assert record["resumed_from_step"] >= step
    assert record["world_size"] == 2
    assert not checkpoints.exists()
    start = json.loads((finished_copy.folder / "runs/moe_base/seed_0/run.json").read_text())
    assert record["losses"]["validation_loss"] < start["losses"]["validation_loss"]


def test_train_stopped_process_is_named(finished_copy):
    parallel = {"timeout_s": 4, "max_restarts": 0}
    checkpoints = configure_training(finished_copy, 400, processes_per_node=2, parallel=parallel)
    running = start_training(finished_copy, checkpoints)
    stopped = process_by_rank(finished_copy.folder)[1]
    stopped.send_signal(signal.SIGSTOP)
    output = next(line for line in running.stdout if "timed out" in line)
    stopped.send_signal(signal.SIGCONT)  # otherwise torchrun waits 30 s before it kills it
    output += running.stdout.read()
    assert running.wait(180) == 1
    expected = r"rank 0: timed out at step \d+ waiting for rank 1 \(last heartbeat: step \d+, "
    assert re.search(expected, output), output
    assert last_checkpoint_step(checkpoints) >= 5


def test_train_full_disk_keeps_the_last_checkpoint(finished_copy):
    checkpoints = configure_training(finished_copy, 20)
    command = [sys.executable, str(Path(__file__).with_name("full_disk.py")), RUN]
    done = subprocess.run(
        command, cwd=finished_copy.folder, capture_output=True, text=True, timeout=120,
        env=user_environment(PYTHONPATH=str(finished_copy.folder)), check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert re.search(r"error: .*step-00000015", done.stderr), done.stderr
    assert last_checkpoint_step(checkpoints) == 10
    assert finished_copy.invoke("train", RUN).returncode == 0
    assert run_record(finished_copy)["resumed_from_step"] == 10
