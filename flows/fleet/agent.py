"""One machine of a fleet as a Prefect flow: what a work pool starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from prefect import flow, get_run_logger

from flows.errors import StageFailed
from models.training.preemption import RESUME

RETRIES = 3


@flow(name="flanmoe-fleet", retries=RETRIES, retry_delay_seconds=5, persist_result=False)
def agent(run: str, number: int, folder: str) -> None:
    """Machine `number` of run `run`, in the workspace `folder`, until the run ends.

    In a process of its own, which SIGTERM tells to save. Fails, and is tried again, where it could
    not take part to the end.
    """
    command = [sys.executable, "-m", "flows", "fleet", "join", run, "--number", str(number)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path[:1]])}
    logger = get_run_logger()
    with subprocess.Popen(
        command, cwd=Path(folder), env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            last = line.strip() or last
            if line.startswith(("error: ", "warning: ")):
                logger.warning(line.strip())
    if process.returncode:
        what = "was stopped and has saved" if process.returncode == RESUME else last
        raise StageFailed(f"machine {number} of run {run}: {what}")
