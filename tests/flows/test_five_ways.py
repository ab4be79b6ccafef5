"""Five ways, one result: every way to run the pipeline gives the same output hashes.

`flanmoe run` has produced the finished project. In a copy of it the last training, which is what
fleets start, runs again in three other ways: a scheduled deployment, Slurm, and a work pool. The
fifth is `dvc repro` without any of them: tests/flows/commands/test_run.py.
"""

import os
import shutil
from datetime import UTC, datetime

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.config.schema import FlowsParams
from flows.deployments.deploy import deploy
from flows.runtime.ports import free_port
from tests.factories import wait_for
from tests.flows.commands.test_run import locked_outputs
from tests.flows.deployments.factories import PrefectProcesses
from tests.flows.fleet.factories import RUN, slurm_stubs

pytestmark = [pytest.mark.process, pytest.mark.multiprocess, pytest.mark.e2e]
RECOMPUTED = f"train@{RUN}-0"


def forget(project):
    """Delete the trained weights and what DVC knows about them."""
    path = project.folder / "dvc.lock"
    lock = yaml.safe_load(path.read_text())
    del lock["stages"][RECOMPUTED]
    path.write_text(yaml.safe_dump(lock))
    shutil.rmtree(project.folder / "runs" / RUN / "seed_0" / "weights")
    shutil.rmtree(project.folder / ".dvc" / "cache" / "runs", ignore_errors=True)


def set_fleet(project, **fleet):
    params = project.params()
    params["flows"]["fleet"] = fleet
    project.write_params(params)


def reproduce(project, **environment):
    """Run the stage with `dvc repro`, in the environment of a user."""
    done = project.dvc("repro", "--single-item", RECOMPUTED, timeout_s=600, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Running stage '{RECOMPUTED}'" in done.stdout


@pytest.mark.full
def test_five_ways_give_the_same_hashes(finished, finished_copy, prefect_server, tmp_path):
    project, expected = finished_copy, locked_outputs(finished.project)
    by_way = {}

    forget(project)
    set_fleet(project, launcher="slurm", nodes=1, gpus=0)
    stubs = slurm_stubs(tmp_path / "slurm", project, num_nodes=1)
    reproduce(project, PATH=os.pathsep.join([str(stubs), os.environ["PATH"]]))
    by_way["Slurm"] = locked_outputs(project)

    processes = PrefectProcesses(
        tmp_path / "prefect", project.folder, prefect_server.empty_database
    )
    try:
        processes.start_server()
        with temporary_settings({PREFECT_API_URL: processes.url}):
            deploy(project.folder, FlowsParams())
            processes.start_worker("local")
            processes.start_worker("gpu-fleet")

            forget(project)
            set_fleet(
                project,
                launcher="work_pool", nodes=1, work_pool="gpu-fleet",
                endpoint=f"127.0.0.1:{free_port()}", project_dir=str(project.folder),
            )  # fmt: skip
            reproduce(project, PREFECT_API_URL=processes.url)
            by_way["work pool"] = locked_outputs(project)

            forget(project)
            set_fleet(project, launcher="local")
            run = run_deployment("flanmoe/on-demand", timeout=0, scheduled_time=datetime.now(UTC))
            is_final = wait_for(lambda: state_of(run.id).is_final(), 600, interval_s=1)
            assert is_final, processes.log("local")
            assert state_of(run.id).is_completed(), state_of(run.id).message
            by_way["deployment"] = locked_outputs(project)
    finally:
        processes.stop()

    assert len(by_way) == 3
    for way, actual in by_way.items():
        assert actual == expected, way


def state_of(run_id):
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id).state
