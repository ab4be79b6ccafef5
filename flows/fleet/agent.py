"""The agent of one node as a Prefect flow: a work pool starts one per node of a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from prefect import flow, get_run_logger

from flows.errors import StageFailed
from flows.runtime.stage_failure import describe_failure
from models.training.preemption import EXIT_RESUMABLE

RETRIES = 3


@flow(name="flanmoe-fleet", retries=RETRIES, retry_delay_seconds=5, persist_result=False)
def agent(run: str, seed: int, node_rank: int, folder: str) -> None:
    """Join a training run as one node and take part until the run ends.

    Training runs in a child process, so that SIGTERM lets it save a checkpoint. Prefect retries the
    flow when the child fails.

    Args:
        run: name of the run in params.yaml.
        seed: seed of the run.
        node_rank: rank of this node, from 0.
        folder: the workspace, as this node sees it.

    Raises:
        StageFailed: the node's process ended with an error, or was preempted.
    """
    command = [
        *(sys.executable, "-m", "flows", "fleet", "join", run),
        *("--seed", str(seed), "--node-rank", str(node_rank)),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path[:1]]),
        "TQDM_DISABLE": "1",  # a bar and an error line would share a line
    }
    logger = get_run_logger()
    with subprocess.Popen(
        command, cwd=Path(folder), env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines += [line.strip()] if line.strip() else []
            if line.startswith(("error: ", "warning: ")):
                logger.warning(line.strip())
    if process.returncode:
        was_preempted = process.returncode == EXIT_RESUMABLE
        reason = (
            "was preempted and saved its state"
            if was_preempted
            else describe_failure(f"train@{run}-{seed}", lines, process.returncode)
        )
        raise StageFailed(f"node {node_rank} of run {run}-{seed}: {reason}")
