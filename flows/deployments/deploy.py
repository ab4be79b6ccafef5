"""Bring a Prefect server to the state that prefect.yaml and `flows.deployments` describe."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import WorkerStatus
from prefect.settings import PREFECT_API_URL

from flows.config.schema import FlowsParams
from flows.deployments.automations import automation_resources
from flows.deployments.deployment_resource import deployment_resources
from flows.deployments.prefect_yaml import read_prefect_file
from flows.deployments.resources import Change, Resource, reconcile
from flows.deployments.work_pools import work_pool_resources
from flows.errors import ServerError


def deploy(project: Path, params: FlowsParams, *, dry_run: bool = False) -> list[Change]:
    """Create or update work pools, queues, deployments, schedules and alerts.

    A second call changes nothing. What people add on the server stays, and what they paused stays
    paused.

    Args:
        project: folder with prefect.yaml.
        params: section `flows` of the project's parameters.
        dry_run: whether to report the changes without making them.

    Raises:
        InvalidDeployment: prefect.yaml has an error, or the notification block does not exist.
        ServerError: the server does not answer.
    """
    deployments = deployment_resources(read_prefect_file(project), project)
    try:
        return asyncio.run(_deploy(deployments, params, dry_run=dry_run))
    except httpx.TransportError as error:
        raise ServerError(
            f"PREFECT_API_URL is {PREFECT_API_URL.value()}: {error or type(error).__name__}; start "
            "the server, or correct the URL"
        ) from None


def pools_without_worker(project: Path) -> list[str]:
    """Return the work pools of prefect.yaml that no worker serves now."""

    async def read() -> list[str]:
        names = sorted({each.work_pool.name for each in read_prefect_file(project).deployments})
        async with get_client() as client:
            workers = {name: await client.read_workers_for_work_pool(name) for name in names}
        return [
            name
            for name, pool_workers in workers.items()
            if not any(worker.status == WorkerStatus.ONLINE for worker in pool_workers)
        ]

    return asyncio.run(read())


async def _deploy(
    deployments: list[Resource], params: FlowsParams, *, dry_run: bool
) -> list[Change]:
    async with get_client() as client:
        resources = [
            *work_pool_resources(params),
            *deployments,
            *await automation_resources(client, params.deployments),
        ]
        return [await reconcile(client, resource, dry_run=dry_run) for resource in resources]
