"""Slurm: a batch script in which each node of the job runs the agent of one run."""

from __future__ import annotations

import math
import shlex
import subprocess
from pathlib import Path

from flows.errors import StageFailed, StagePreempted
from flows.fleet.params import FleetParams
from flows.runtime.stage_failure import killed_by
from models.replicate import Replicate
from models.training.params import TrainingParams
from models.training.preemption import EXIT_RESUMABLE

PORT = 29400


def render_script(
    replicate: Replicate, training: TrainingParams, fleet: FleetParams, workspace: Path
) -> str:
    """Return the sbatch script of a run with one seed.

    Slurm sends SIGTERM two minutes before it ends the job. Training then saves its state and exits
    with 75, and the script requeues the job.

    Args:
        replicate: the run and its seed.
        training: parameters of the run.
        fleet: resources of each node, partition and time limit.
        workspace: folder with the data and the runs, shared by all nodes.
    """
    label = replicate.label
    minutes = max(1, math.ceil(fleet.time_limit_hours * 60))
    options = {
        "job-name": f"flanmoe-{label}",
        "nodes": fleet.nodes,
        "ntasks-per-node": 1,
        "cpus-per-task": fleet.cpus,
        "mem": f"{fleet.memory_gb}G",
        "time": f"{minutes // 60:02d}:{minutes % 60:02d}:00",
        "signal": "TERM@120",
        # Slurm replaces %j by the number of the job, and %% by a single %.
        "output": f"{str(workspace).replace('%', '%%')}/.flanmoe/logs/slurm-{label}-%j.log",
    }
    if fleet.gpus:
        options["gpus-per-node"] = fleet.gpus
    if fleet.partition:
        options["partition"] = fleet.partition
    directives = [f"#SBATCH --{key}={shlex.quote(str(value))}" for key, value in options.items()]
    return "\n".join(
        [
            "#!/bin/bash",
            *directives,
            "#SBATCH --requeue",
            "",
            "# The first node of the job hosts the rendezvous.",
            'first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
            f"cd {shlex.quote(str(workspace))}",
            "srun --kill-on-bad-exit=0 bash -c 'exec .venv/bin/flanmoe fleet join \\",
            f'  {replicate.run} --seed {replicate.seed} --node-rank "$SLURM_NODEID" \\',
            f'  --endpoint "$0:{PORT}"\' "$first"',
            "code=$?",
            f'if [ "$code" = {EXIT_RESUMABLE} ]; then scontrol requeue "$SLURM_JOB_ID"; fi',
            'exit "$code"',
            "",
        ]
    )


def run_job(
    replicate: Replicate, training: TrainingParams, fleet: FleetParams, workspace: Path
) -> None:
    """Submit the script of a run and seed with sbatch and wait until the job ends.

    Args:
        replicate: the run and its seed.
        training: parameters of the run.
        fleet: resources of each node, partition and time limit.
        workspace: folder with the data and the runs, shared by all nodes.

    Raises:
        StageFailed: sbatch is missing, or the job failed.
        StagePreempted: the job was preempted and saved its state.
    """
    label = replicate.label
    script = workspace / ".flanmoe" / "fleet" / f"{label}.sbatch"
    script.parent.mkdir(parents=True, exist_ok=True)
    logs = workspace / ".flanmoe" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    script.write_text(render_script(replicate, training, fleet, workspace), encoding="utf-8")
    try:
        result = subprocess.run(["sbatch", "--wait", str(script)], cwd=workspace, check=False)
    except FileNotFoundError:
        raise StageFailed(
            f"train {label}: sbatch is missing on this machine; flows.fleet.launcher slurm needs it"
        ) from None
    if result.returncode == EXIT_RESUMABLE:
        raise StagePreempted(f"train {label}: its Slurm job was preempted and saved its state")
    if result.returncode:
        killed = killed_by(f"train@{label}", result.returncode)
        ending = f"was {killed}" if killed else f"ended with {result.returncode}"
        raise StageFailed(f"train {label}: the Slurm job {ending}; its log is in {logs}")
