"""Slurm: a batch script in which each machine of the job is an agent of one run."""

from __future__ import annotations

import math
import shlex
import subprocess
from pathlib import Path

from flows.errors import StageFailed, StagePreempted
from flows.fleet.params import FleetParams
from models.training.params import TrainingParams
from models.training.preemption import RESUME

PORT = 29400


def render(name: str, training: TrainingParams, fleet: FleetParams, workspace: Path) -> str:
    """The sbatch script of run `name`.

    Slurm sends SIGTERM two minutes before it takes the machines away: training then saves, ends
    with 75, and the job is queued again.
    """
    minutes = max(1, math.ceil(fleet.time_limit_hours * 60))
    options = {
        "job-name": f"flanmoe-{name}",
        "nodes": fleet.nodes,
        "ntasks-per-node": 1,
        "cpus-per-task": fleet.cpus,
        "mem": f"{fleet.memory_gb}G",
        "time": f"{minutes // 60:02d}:{minutes % 60:02d}:00",
        "signal": "TERM@120",
        "output": f"{workspace}/.flanmoe/logs/slurm-{name}-%j.log",
    }
    if fleet.gpus:
        options["gpus-per-node"] = fleet.gpus
    if fleet.partition:
        options["partition"] = fleet.partition
    lines = [f"#SBATCH --{key}={value}" for key, value in options.items()]
    where = shlex.quote(str(workspace))
    return "\n".join(
        [
            "#!/bin/bash",
            *lines,
            "#SBATCH --requeue",
            "",
            "# The first machine of the job is where the others find each other.",
            'first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
            f"cd {where}",
            f"srun --kill-on-bad-exit=0 bash -c 'exec .venv/bin/flanmoe fleet join {name} \\",
            f'  --number "$SLURM_NODEID" --endpoint "$0:{PORT}"\' "$first"',
            "code=$?",
            f'if [ "$code" = {RESUME} ]; then scontrol requeue "$SLURM_JOB_ID"; fi',
            'exit "$code"',
            "",
        ]
    )


def submit(name: str, training: TrainingParams, fleet: FleetParams, workspace: Path) -> None:
    """Hands the script to sbatch and waits for the job. Raises StageFailed, StagePreempted."""
    script = workspace / ".flanmoe" / "fleet" / f"{name}.sbatch"
    script.parent.mkdir(parents=True, exist_ok=True)
    (workspace / ".flanmoe" / "logs").mkdir(parents=True, exist_ok=True)
    script.write_text(render(name, training, fleet, workspace), encoding="utf-8")
    try:
        done = subprocess.run(["sbatch", "--wait", str(script)], cwd=workspace, check=False)
    except FileNotFoundError:
        raise StageFailed(
            f"train {name}: flows.fleet.launcher is slurm, but this machine has no sbatch"
        ) from None
    if done.returncode == RESUME:
        raise StagePreempted(f"train {name}: its job was stopped and has saved")
    if done.returncode:
        raise StageFailed(
            f"train {name}: the Slurm job ended with {done.returncode}; its log is in "
            f"{workspace / '.flanmoe' / 'logs'}"
        )
