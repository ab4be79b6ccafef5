"""Slurm: the rendered script, and a job whose Slurm commands are stubs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows.fleet import slurm
from flows.fleet.params import FleetParams
from models.training.params import TrainingParams
from tests.flows.fleet.factories import (
    REPLICATE,
    RUN,
    configure_training,
    run_record,
    slurm_stubs,
)


def test_render_script_requests_what_the_params_say(tmp_path):
    fleet = FleetParams(
        launcher="slurm", nodes=8, gpus=8, cpus=96, memory_gb=1000, partition="h100",
        time_limit_hours=36.25,
    )  # fmt: skip
    script = slurm.render_script(REPLICATE, TrainingParams(), fleet, tmp_path)
    options = dict(re.findall(r"#SBATCH --([\w-]+)=(\S+)", script))
    assert options["job-name"] == "flanmoe-moe_instruct-0"
    assert options["nodes"] == "8"
    assert options["gpus-per-node"] == "8"
    assert options["time"] == "36:15:00"
    assert options["partition"] == "h100"
    assert options["signal"] == "TERM@120"
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr


def test_render_script_in_an_awkward_folder_quotes_its_name(tmp_path):
    workspace = tmp_path / "job%2F a?b#c"
    script = slurm.render_script(REPLICATE, TrainingParams(), FleetParams(), workspace)
    (output,) = re.findall(r"#SBATCH --output=(.+)", script)
    # Slurm replaces %% by a single %.
    folder = str(workspace).replace("%", "%%")
    assert output == f"'{folder}/.flanmoe/logs/slurm-{RUN}-0-%j.log'"


@pytest.mark.process
@pytest.mark.multiprocess
@pytest.mark.e2e
def test_train_slurm_job_of_two_nodes_writes_the_run(finished_copy, tmp_path):
    fleet = {"launcher": "slurm", "nodes": 2, "gpus": 0, "cpus": 2, "time_limit_hours": 1.5}
    checkpoints = configure_training(finished_copy, 8, fleet=fleet)
    stubs = slurm_stubs(tmp_path / "slurm", finished_copy, num_nodes=2)
    path = os.pathsep.join([str(stubs), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = finished_copy.invoke("train", RUN, PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (finished_copy.folder / "arguments").read_text().startswith("--wait")
    assert run_record(finished_copy)["world_size"] == 2
    assert not checkpoints.exists()
