"""A run has one trainer: leases on one machine, between machines, and after a stalled holder."""

import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from models.errors import RunInUse, RunTakenOver
from models.training import trainer_lease
from models.training.distributed import DistributedContext
from models.training.trainer_lease import hold_lease, lease_of_rank_0
from tests.factories import wait_for
from tests.models.training.factories import build_trainer


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoints" / "moe-0.lease"


@pytest.fixture
def short_lease(monkeypatch):
    monkeypatch.setattr(trainer_lease, "LEASE_S", 0.6)
    monkeypatch.setattr(trainer_lease, "RENEWAL_S", 0.1)
    monkeypatch.setattr(trainer_lease, "SETTLE_S", 0.02)


def write_lease_of_another_machine(path, number=1, renewals=0):
    content = trainer_lease.LeaseContent(
        number=number, holder=f"holder-{number}", host="elsewhere", process_space="pid:[1]", pid=7,
        process_start="1", renewals=renewals,
    )  # fmt: skip
    path.parent.mkdir(exist_ok=True)
    trainer_lease._write(path, content)


def test_lease_is_exclusive_and_released(path, short_lease):
    with (
        hold_lease(path),
        pytest.raises(
            RunInUse, match=rf"^moe-0: process {os.getpid()} on .* trains this run; wait"
        ),
        hold_lease(path),
    ):
        pass
    assert not list(path.parent.iterdir())
    with hold_lease(path) as lease:
        assert lease.content.number == 1


@pytest.mark.process
def test_lease_of_a_killed_process_is_taken_over_at_once(path):
    code = (
        "import sys, time, pathlib; from models.training.trainer_lease import hold_lease\n"
        "with hold_lease(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(RunInUse, match=f"process {holder.pid} on"), hold_lease(path):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    start = time.monotonic()
    with hold_lease(path) as lease:
        assert lease.content.number == 2
    assert time.monotonic() - start < trainer_lease.LEASE_S / 2


def test_lease_that_another_machine_renews_is_respected(path, short_lease):
    write_lease_of_another_machine(path)
    renewal = multiprocessing.get_context("fork").Process(
        target=lambda: (time.sleep(0.2), write_lease_of_another_machine(path, renewals=1))
    )
    renewal.start()
    with pytest.raises(RunInUse, match="process 7 on elsewhere trains this run"), hold_lease(path):
        pass
    renewal.join()


def test_lease_that_a_lost_machine_does_not_renew_is_taken_over(path, short_lease):
    write_lease_of_another_machine(path, number=4)
    with hold_lease(path) as lease:
        assert lease.content.number == 5
        time.sleep(0.5)
        assert json.loads(path.read_text())["renewals"] >= 1


def test_damaged_lease_file_is_replaced(path, short_lease):
    path.parent.mkdir()
    path.write_text("{")
    with hold_lease(path) as lease:
        assert lease.content.number == 1


def test_stalled_holder_writes_no_checkpoint_after_a_takeover(tmp_path, path, short_lease):
    with hold_lease(path) as lease:
        trainer = build_trainer(tmp_path / "run", steps=8, require_lease=lease.require)

        def take_over(completed):
            if completed == 4:
                # The thread that writes checkpoints may still be at the last one.
                assert wait_for((tmp_path / "run" / "step-00000003").is_dir, 30)
                write_lease_of_another_machine(path, number=2)

        with pytest.raises(RunTakenOver, match=r"^moe-0: process 7 on elsewhere trains"):
            trainer.fit(take_over)
    assert [folder.name for folder in sorted((tmp_path / "run").glob("step-*[0-9]"))] == [
        "step-00000000", "step-00000003",
    ]  # fmt: skip
    assert json.loads(path.read_text())["number"] == 2  # not released by the former holder


def test_only_rank_0_holds_the_lease(path, short_lease):
    other = dataclasses.replace(DistributedContext(), rank=1)
    with lease_of_rank_0(path, other) as require:
        require()
        assert not path.exists()
