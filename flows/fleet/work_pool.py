"""A Prefect work pool as a fleet: each machine of a run is a flow run that the pool starts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.errors import ServerError, StageFailed
from flows.fleet.kubernetes import LABEL
from flows.fleet.params import FleetParams
from flows.runtime import workspace as project

NAME = "fleet-agent"
ENTRYPOINT = "flows/fleet/agent.py:agent"
POLL_SECONDS = 2.0


def deploy(fleet: FleetParams) -> str:
    """Makes or renews the deployment of the agent in the pool; returns its full name."""
    _server()
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    from flows.fleet.agent import agent

    with get_client(sync_client=True) as client:
        try:
            pool = client.read_work_pool(fleet.work_pool)
        except ObjectNotFound:
            raise ServerError(
                f"there is no work pool {fleet.work_pool!r}: create it first, e.g. prefect "
                f"work-pool create {fleet.work_pool} --type kubernetes --base-job-template FILE "
                "(`flanmoe fleet render kubernetes` writes FILE)"
            ) from None
        flow_id = client.create_flow(agent)
        client.create_deployment(
            flow_id=flow_id,
            name=NAME,
            work_pool_name=pool.name,
            entrypoint=ENTRYPOINT,
            path=fleet.project_dir,
            pull_steps=[
                {
                    "prefect.deployments.steps.set_working_directory": {
                        "directory": fleet.project_dir
                    }
                }
            ],
            parameter_openapi_schema={"type": "object", "properties": {}},
            enforce_parameter_schema=False,
        )
    return f"{agent.name}/{NAME}"


def submit(name: str, fleet: FleetParams, workspace: Path) -> None:
    """Starts an agent for each machine and waits for all of them. Raises StageFailed.

    When one fails for good the others are cancelled; what was saved stays.
    """
    from prefect.client.orchestration import get_client

    home = project.home(workspace)
    if not workspace.is_relative_to(home):
        raise StageFailed(
            f"train {name}: {workspace} is not below {home}, which the machines of the fleet see "
            f"at {fleet.project_dir}: give --workspace a folder inside the project"
        )
    folder = Path(fleet.project_dir) / workspace.relative_to(home)
    deployment = deploy(fleet)
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(deployment)
        kind = client.read_work_pool(fleet.work_pool).type
        runs: list[UUID] = []
        for number in range(fleet.nodes):
            made = client.create_flow_run_from_deployment(
                found.id,
                parameters={"run": name, "number": number, "folder": str(folder)},
                name=f"{name} machine {number}",
                job_variables=_variables(kind, name, number),
            )
            runs.append(made.id)
        _wait(client, runs, name)


def _wait(client: Any, runs: list[UUID], name: str) -> None:
    from prefect.states import Cancelling

    left = dict(enumerate(runs))
    while left:
        for number, flow_run in list(left.items()):
            state = client.read_flow_run(flow_run).state
            if state is None or not state.is_final():
                continue
            if not state.is_completed():
                for other in left.values():
                    client.set_flow_run_state(other, Cancelling())
                told = " ".join((state.message or state.name).split())
                raise StageFailed(f"train {name}: machine {number} of the fleet: {told}")
            del left[number]
        time.sleep(POLL_SECONDS)


def _variables(kind: str, name: str, number: int) -> dict[str, Any]:
    """What Kubernetes is told of a machine; other kinds of pools know no labels."""
    if kind != "kubernetes":
        return {}
    return {"labels": {LABEL: str(number), "flanmoe.run": name}}


def _server() -> None:
    if not os.environ.get("PREFECT_API_URL"):
        raise ServerError(
            "a work pool needs a Prefect server that its workers reach too: start one (`prefect "
            "server start`) and set PREFECT_API_URL"
        )
