"""torchrun: the processes of a run on this machine, alone or together with other machines'."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.errors import StageFailed, StagePreempted
from flows.fleet.params import FleetParams
from models.training.params import TrainingParams

RETRY_SECONDS = 5.0


def inside() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def command(
    name: str, training: TrainingParams, fleet: FleetParams, *, number: int, address: str = ""
) -> list[str]:
    """The agent of machine `number` (from 0) for run `name`; machine 0 is where others find it.

    `address`: how the others reach this machine; empty: by its host name.
    """
    words = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nproc-per-node", str(training.processes_per_node)),
        *("--max-restarts", str(training.parallel.max_restarts)),
        *("--monitor-interval", "0.5"),
    ]
    if fleet.nodes == 1 and fleet.launcher == "local":
        words.append("--standalone")
    else:
        settings = {
            "is_host": int(number == 0),
            # How long one waits for the others, to begin or to come back.
            "join_timeout": round(max(600.0, training.parallel.timeout_s)),
            "read_timeout": round(min(60.0, training.parallel.timeout_s)),
        }
        words += [
            *("--nnodes", str(fleet.nodes), "--node-rank", str(number)),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", fleet.endpoint, "--rdzv-id", name),
            *("--rdzv-conf", ",".join(f"{key}={value}" for key, value in settings.items())),
        ]
        if address:
            words += ["--local-addr", address]
    return [*words, "-m", "flows", "train", name]


def run(words: list[str], name: str, training: TrainingParams, workspace: Path) -> None:
    """Runs an agent to its end. Raises StageFailed, or StagePreempted when it was asked to stop."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(training.threads),
        # A store of its own for each attempt: in a shared one the processes of the next attempt
        # find the addresses of the last, and wait for those.
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }
    process = subprocess.Popen(words, env=environment, cwd=workspace)
    with process, _passing_on(process) as stopped:
        code = process.wait()
    if stopped.is_set() and code:
        raise StagePreempted(f"train {name}: stopped and saved; start it again to go on")
    if code:
        raise StageFailed(f"train {name}: its processes ended with {code}, after their restarts")


def keep_running(words: list[str], name: str, training: TrainingParams, workspace: Path) -> None:
    """Runs an agent, again where it fails: a machine that was cut off comes back to the others."""
    for left in range(training.parallel.max_restarts, -1, -1):
        try:
            run(words, name, training, workspace)
        except StageFailed:
            if left == 0:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            return


@contextmanager
def _passing_on(process: subprocess.Popen[bytes]) -> Iterator[threading.Event]:
    """SIGTERM goes on to the agent, which passes it to its processes; they save and end."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def handle(number: int, _frame: object) -> None:
        stopped.set()
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, before)
