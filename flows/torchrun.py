"""Several training processes on this machine, started by torchrun."""

from __future__ import annotations

import os
import subprocess
import sys

from flows.errors import StageFailed


def inside() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def launch(words: list[str], processes: int, threads: int) -> None:
    """`flanmoe WORDS` in that many processes. Raises StageFailed if one of them fails."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", str(processes), "-m", "flows", *words),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        raise StageFailed(f"{' '.join(words)}: a training process ended with {done.returncode}")
