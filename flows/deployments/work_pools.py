"""Work pools and their queues: `local` starts processes, `gpu-fleet` the agents of a fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound

from flows.config.schema import FlowsParams
from flows.deployments.resources import Resource, different_fields
from flows.fleet.kubernetes import base_job_template

LOCAL_POOL = "local"
GPU_POOL = "gpu-fleet"


@dataclass(frozen=True, kw_only=True)
class WorkPoolResource:
    """A work pool."""

    name: str
    type: str
    description: str
    concurrency_limit: int
    template: dict[str, Any] | None = None
    """Base job template; None: that of the pool's type."""
    kind: str = "work pool"

    async def read_differences(self, client: PrefectClient) -> list[str] | None:
        """Compare with the server; the type of a pool cannot be changed."""
        try:
            pool = await client.read_work_pool(self.name)
        except ObjectNotFound:
            return None
        expected: dict[str, Any] = {
            "description": self.description,
            "concurrency_limit": self.concurrency_limit,
        }
        if self.template is not None and pool.type == self.type:
            expected["base_job_template"] = self.template
        return different_fields(expected, pool.model_dump())

    async def apply(self, client: PrefectClient) -> None:
        """Create or update the pool."""
        optional: dict[str, Any] = (
            {} if self.template is None else {"base_job_template": self.template}
        )
        try:
            pool = await client.read_work_pool(self.name)
        except ObjectNotFound:
            await client.create_work_pool(
                WorkPoolCreate(
                    name=self.name,
                    type=self.type,
                    description=self.description,
                    concurrency_limit=self.concurrency_limit,
                    **optional,
                )
            )
        else:
            update = WorkPoolUpdate(
                description=self.description, concurrency_limit=self.concurrency_limit
            )
            if self.template is not None and pool.type == self.type:
                update.base_job_template = self.template
            await client.update_work_pool(self.name, update)


@dataclass(frozen=True, kw_only=True)
class QueueResource:
    """A queue of a work pool; queues with a lower priority number are served first."""

    pool: str
    queue: str
    priority: int
    concurrency_limit: int | None = None
    kind: str = "work queue"

    @property
    def name(self) -> str:
        """Pool and queue."""
        return f"{self.pool}/{self.queue}"

    async def read_differences(self, client: PrefectClient) -> list[str] | None:
        """Compare with the server."""
        try:
            queue = await client.read_work_queue_by_name(self.queue, self.pool)
        except ObjectNotFound:
            return None
        expected = {"concurrency_limit": self.concurrency_limit, "priority": self.priority}
        return different_fields(expected, queue.model_dump())

    async def apply(self, client: PrefectClient) -> None:
        """Create or update the queue."""
        try:
            queue = await client.read_work_queue_by_name(self.queue, self.pool)
        except ObjectNotFound:
            await client.create_work_queue(
                self.queue,
                concurrency_limit=self.concurrency_limit,
                priority=self.priority,
                work_pool_name=self.pool,
            )
        else:
            await client.update_work_queue(
                queue.id, concurrency_limit=self.concurrency_limit, priority=self.priority
            )


def work_pool_resources(params: FlowsParams) -> list[Resource]:
    """Return the pools and queues."""
    limits = params.deployments
    uses_kubernetes = limits.gpu_pool_type == "kubernetes"
    return [
        WorkPoolResource(
            name=LOCAL_POOL,
            type="process",
            description="Processes on the machine of the worker.",
            concurrency_limit=limits.parallel_runs,
        ),
        QueueResource(pool=LOCAL_POOL, queue="maintenance", priority=1),
        QueueResource(pool=LOCAL_POOL, queue="data", priority=2),
        QueueResource(
            pool=LOCAL_POOL,
            queue="training",
            priority=3,
            concurrency_limit=limits.parallel_trainings,
        ),
        WorkPoolResource(
            name=GPU_POOL,
            type=limits.gpu_pool_type,
            description="Agents of the nodes of a training run (flows.fleet).",
            concurrency_limit=params.fleet.nodes * limits.parallel_trainings,
            template=base_job_template(params.fleet) if uses_kubernetes else None,
        ),
    ]
