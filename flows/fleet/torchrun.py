"""torchrun: the processes of a run on this node, alone or together with other nodes."""

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
from flows.runtime.stage_failure import killed_by
from models.replicate import Replicate
from models.training.params import TrainingParams

RESTART_DELAY_S = 5.0
MIN_JOIN_TIMEOUT_S = 600.0
MAX_READ_TIMEOUT_S = 60.0


def is_worker() -> bool:
    """Return whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def agent_command(
    replicate: Replicate,
    training: TrainingParams,
    fleet: FleetParams,
    *,
    node_rank: int,
    address: str = "",
) -> list[str]:
    """Return the command of one node's torchrun agent.

    Args:
        replicate: the run and its seed; its label is the id of the rendezvous.
        training: number of processes, restarts and timeouts.
        fleet: number of nodes and the endpoint, the address of node 0.
        node_rank: rank of this node, from 0; node 0 hosts the rendezvous.
        address: address of this node for the others; by default its host name.
    """
    command = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nproc-per-node", str(training.processes_per_node)),
        *("--max-restarts", str(training.parallel.max_restarts)),
        *("--monitor-interval", "0.5"),
    ]
    if fleet.nodes == 1 and fleet.launcher == "local":
        command.append("--standalone")
    else:
        timeout_s = training.parallel.timeout_s
        settings = {
            "is_host": int(node_rank == 0),
            # How long a node waits for the others to join, first or after a restart.
            "join_timeout": round(max(MIN_JOIN_TIMEOUT_S, timeout_s)),
            "read_timeout": round(min(MAX_READ_TIMEOUT_S, timeout_s)),
        }
        command += [
            *("--nnodes", str(fleet.nodes), "--node-rank", str(node_rank)),
            *(
                "--rdzv-backend",
                "c10d",
                "--rdzv-endpoint",
                fleet.endpoint,
                "--rdzv-id",
                replicate.label,
            ),
            *("--rdzv-conf", ",".join(f"{key}={value}" for key, value in settings.items())),
        ]
        if address:
            command += ["--local-addr", address]
    train = ("train", replicate.run, "--seed", str(replicate.seed))
    return [*command, "-m", "flows", *train]


def run_agent(
    command: list[str], replicate: Replicate, training: TrainingParams, workspace: Path
) -> None:
    """Run an agent until it ends.

    Args:
        command: from `agent_command`.
        replicate: the run and its seed, for messages.
        training: number of threads of each process.
        workspace: working directory of the agent.

    Raises:
        StagePreempted: this process received SIGTERM and the run saved its state.
        StageFailed: the agent failed, after its restarts.
    """
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(training.threads),
        # Each attempt gets a new store. In a shared store the processes of the next attempt read
        # the addresses of the previous attempt, and wait for those.
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }
    process = subprocess.Popen(command, env=environment, cwd=workspace)
    with process, _forward_sigterm(process) as stopped:
        code = process.wait()
    if stopped.is_set() and code:
        raise StagePreempted(
            f"train {replicate.label}: preempted and saved; run it again to resume"
        )
    if code:
        killed = killed_by(f"train@{replicate.label}", code)
        if killed:
            raise StageFailed(f"train {replicate.label}: torchrun was {killed}")
        raise StageFailed(
            f"train {replicate.label}: its processes ended with {code}, after all restarts"
        )


def run_agent_with_restarts(
    command: list[str], replicate: Replicate, training: TrainingParams, workspace: Path
) -> None:
    """Run an agent and restart it after a failure, so that a node that lost its network rejoins.

    Args:
        command: from `agent_command`.
        replicate: the run and its seed, for messages.
        training: `parallel.max_restarts` limits how often a failed agent starts again.
        workspace: working directory of the agent.

    Raises:
        StagePreempted: this process received SIGTERM and the run saved its state.
        StageFailed: the agent failed more than `parallel.max_restarts` times.
    """
    for attempts_remaining in range(training.parallel.max_restarts, -1, -1):
        try:
            run_agent(command, replicate, training, workspace)
        except StageFailed:
            if attempts_remaining == 0:
                raise
            time.sleep(RESTART_DELAY_S)
        else:
            return


@contextmanager
def _forward_sigterm(process: subprocess.Popen[bytes]) -> Iterator[threading.Event]:
    """Forward SIGTERM to the agent, whose processes save and end; the event records it."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def handle(number: int, _frame: object) -> None:
        stopped.set()
        process.send_signal(number)

    previous = signal.signal(signal.SIGTERM, handle)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, previous)
