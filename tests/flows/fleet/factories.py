"""Training runs for tests of several processes and machines."""

import json
import shutil
import sys

import psutil

from models.replicate import Replicate
from tests.factories import last_checkpoint_step, wait_for

RUN = "moe_instruct"
REPLICATE = Replicate(RUN, 0)


def configure_training(project, steps, *, fleet=None, **training):
    """Set the run's steps and training params, remove its outputs; return its checkpoints."""
    params = project.params()
    params["models"]["runs"][RUN]["steps"] = steps
    params["models"]["training"].update(training)
    params["flows"] = {"fleet": fleet or {}}
    project.write_params(params)
    for folder in ("weights", "live"):
        shutil.rmtree(project.folder / REPLICATE.folder / folder)
    (project.folder / REPLICATE.folder / "run.json").unlink()
    return project.folder / REPLICATE.checkpoints


def process_by_rank(folder):
    """Return the training processes that torchrun started below the folder."""
    processes = {}
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if str(folder) in process.cwd() and "TORCHELASTIC_RUN_ID" in environment:
                processes[int(environment["RANK"])] = process
        except psutil.Error:
            continue
    return processes


def start_training(project, checkpoints, beyond=0):
    """Start `flanmoe train` and wait until it has a checkpoint of a later step."""
    running = project.start("train", RUN)
    assert wait_for(lambda: last_checkpoint_step(checkpoints) > beyond, 180)
    return running


def run_record(project):
    """Return run.json of the run, with the values of execution.json."""
    folder = project.folder / REPLICATE.folder
    records = [json.loads((folder / name).read_text()) for name in ("run.json", "execution.json")]
    return records[0] | records[1]


def slurm_stubs(folder, project, *, num_nodes):
    """Write stand-ins for Slurm's commands, and for the project's `flanmoe`; return their folder.

    `sbatch` writes its arguments to the file `arguments` and runs the script at once; `srun` starts
    the command once for each node.
    """
    venv = project.folder / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "flanmoe").write_text(f'#!/bin/sh\nexec {sys.executable} -m flows "$@"\n')
    folder.mkdir()
    others = " ".join(f'SLURM_NODEID={rank} "$@" &' for rank in range(1, num_nodes))
    hosts = "; ".join(["echo 127.0.0.1", *["echo other"] * (num_nodes - 1)])
    scripts = {
        "sbatch": 'echo "$@" > arguments; SLURM_JOB_NODELIST=x SLURM_JOB_ID=7 exec bash "$2"',
        "scontrol": hosts,
        "srun": f'shift; {others} SLURM_NODEID=0 "$@"; code=$?; wait; exit $code',
    }
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    for path in [*folder.iterdir(), venv / "flanmoe"]:
        path.chmod(0o755)
    return folder
