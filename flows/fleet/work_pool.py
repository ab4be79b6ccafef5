"""A Prefect work pool as a fleet: the pool starts one flow run per node of a training run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.errors import ServerError, StageFailed
from flows.fleet.kubernetes import NODE_LABEL, RUN_LABEL
from flows.fleet.params import FleetParams
from flows.runtime.workspace import project_of
from models.replicate import Replicate

DEPLOYMENT = "fleet-agent"
ENTRYPOINT = "flows/fleet/agent.py:agent"
POLL_S = 2.0
WORKER_TIMEOUT_S = 120.0
"""Seconds that a training waits for a worker of the pool."""


def deploy_agent(fleet: FleetParams) -> str:
    """Create or update the agent deployment in the work pool; return its full name.

    Raises:
        ServerError: PREFECT_API_URL is not set, or the work pool does not exist.
    """
    _require_server()
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
            name=DEPLOYMENT,
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
    return f"{agent.name}/{DEPLOYMENT}"


def run_on_pool(replicate: Replicate, fleet: FleetParams, workspace: Path) -> None:
    """Start an agent for each node of a run and wait until all have ended.

    When one agent fails for good, the others are cancelled; checkpoints remain.

    Args:
        replicate: the run and its seed.
        fleet: number of nodes, the work pool, and where its machines mount the project.
        workspace: folder with the data and the runs, inside the project.

    Raises:
        StageFailed: an agent failed, or the workspace is outside the project.
        ServerError: PREFECT_API_URL is not set, the work pool does not exist, or it has no worker.
    """
    from prefect.client.orchestration import get_client

    label, project = replicate.label, project_of(workspace)
    if not workspace.is_relative_to(project):
        raise StageFailed(
            f"train {label}: {workspace} is outside {project}, which the machines of the fleet "
            f"mount at {fleet.project_dir}; choose a --workspace inside the project"
        )
    folder = Path(fleet.project_dir) / workspace.relative_to(project)
    deployment_name = deploy_agent(fleet)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(deployment_name)
        pool_type = client.read_work_pool(fleet.work_pool).type
        _await_worker(client, fleet.work_pool)
        flow_run_ids: list[UUID] = []
        for node_rank in range(fleet.nodes):
            flow_run = client.create_flow_run_from_deployment(
                deployment.id,
                parameters={
                    "run": replicate.run,
                    "seed": replicate.seed,
                    "node_rank": node_rank,
                    "folder": str(folder),
                },
                name=f"{label} node {node_rank}",
                job_variables=_job_variables(pool_type, label, node_rank),
            )
            flow_run_ids.append(flow_run.id)
        _wait_for_all(client, flow_run_ids, label)


def _await_worker(client: Any, pool: str) -> None:
    """Wait for a worker, because the agents would wait for ever without an error.

    Raises:
        ServerError: the pool needs a worker, and none is online.
    """
    work_pool = client.read_work_pool(pool)
    if work_pool.is_push_pool or work_pool.is_managed_pool:
        return  # Prefect Cloud starts the agents
    deadline = time.monotonic() + WORKER_TIMEOUT_S
    while not any(w.status.value == "ONLINE" for w in client.read_workers_for_work_pool(pool)):
        if time.monotonic() > deadline:
            raise ServerError(
                f"flows.fleet.work_pool: {pool!r} has no worker that is online; start "
                f"`prefect worker start --pool {pool}` on the machines of the fleet"
            )
        time.sleep(POLL_S)


def _wait_for_all(client: Any, flow_run_ids: list[UUID], label: str) -> None:
    from prefect.states import Cancelling

    running = dict(enumerate(flow_run_ids))
    while running:
        for node_rank, flow_run_id in list(running.items()):
            state = client.read_flow_run(flow_run_id).state
            if state is None or not state.is_final():
                continue
            if not state.is_completed():
                for other in running.values():
                    client.set_flow_run_state(other, Cancelling())
                reason = " ".join((state.message or state.name).split())
                raise StageFailed(f"train {label}: node {node_rank} of the fleet: {reason}")
            del running[node_rank]
        time.sleep(POLL_S)


def _job_variables(pool_type: str, label: str, node_rank: int) -> dict[str, Any]:
    """Return the labels of a node's pod; only Kubernetes pools have labels."""
    if pool_type != "kubernetes":
        return {}
    return {"labels": {NODE_LABEL: str(node_rank), RUN_LABEL: label}}


def _require_server() -> None:
    if not os.environ.get("PREFECT_API_URL"):
        raise ServerError(
            "PREFECT_API_URL is not set; a work pool needs a Prefect server that its workers can "
            "reach: start one (`prefect server start`) and set the variable to its URL"
        )
