"""A deployment of prefect.yaml as a resource of the Prefect server."""

from __future__ import annotations

from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule as PrefectCron
from prefect.exceptions import MissingFlowError, ObjectNotFound, ParameterTypeError, ScriptError
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from flows.deployments.prefect_yaml import DeploymentDefinition, PrefectFile
from flows.deployments.resources import Resource, different_fields
from flows.errors import InvalidDeployment


@dataclass(frozen=True, kw_only=True)
class DeploymentResource:
    """A deployment with its flow; schedules that a person paused stay paused."""

    definition: DeploymentDefinition
    flow: Flow[Any, Any]
    pull_steps: list[dict[str, Any]]
    kind: str = "deployment"

    @property
    def name(self) -> str:
        """Flow and deployment."""
        return f"{self.flow.name}/{self.definition.name}"

    async def read_differences(self, client: PrefectClient) -> list[str] | None:
        """Compare with the server."""
        deployment = await self._read(client)
        if deployment is None:
            return None
        differences = different_fields(self._fields(), deployment.model_dump())
        if self._queue != (deployment.work_pool_name, deployment.work_queue_name):
            differences.append("work_pool")
        if _shown(self.definition.schedules) != _shown(_crons(deployment.schedules)):
            differences.append("schedules")
        limit = deployment.global_concurrency_limit
        if self.definition.concurrency_limit != (limit and limit.limit):
            differences.append("concurrency_limit")
        return differences

    async def apply(self, client: PrefectClient) -> None:
        """Create or update the deployment."""
        deployment = await self._read(client)
        paused = {
            schedule.slug
            for schedule in (deployment.schedules if deployment else ())
            if not schedule.active
        }
        await client.create_deployment(
            flow_id=await client.create_flow(self.flow),
            name=self.definition.name,
            work_pool_name=self._queue[0],
            work_queue_name=self._queue[1],
            concurrency_limit=self.definition.concurrency_limit,
            schedules=[
                DeploymentScheduleCreate(
                    slug=schedule.slug,
                    schedule=PrefectCron(cron=schedule.cron, timezone=schedule.timezone),
                    active=schedule.active and schedule.slug not in paused,
                )
                for schedule in self.definition.schedules
            ],
            **self._fields(),
        )

    @property
    def _queue(self) -> tuple[str, str]:
        pool = self.definition.work_pool
        return pool.name, pool.work_queue_name

    def _fields(self) -> dict[str, Any]:
        """Return the fields that the server stores as they are."""
        return {
            "entrypoint": self.definition.entrypoint,
            "description": self.definition.description or self.flow.description,
            "parameters": self.definition.parameters,
            "tags": self.definition.tags,
            "pull_steps": self.pull_steps,
            "enforce_parameter_schema": True,
            "job_variables": self.definition.work_pool.job_variables,
            "parameter_openapi_schema": parameter_schema(self.flow).model_dump_for_openapi(),
        }

    async def _read(self, client: PrefectClient) -> DeploymentResponse | None:
        try:
            return await client.read_deployment_by_name(self.name)
        except ObjectNotFound:
            return None


def deployment_resources(file: PrefectFile, project: Path) -> list[Resource]:
    """Return the deployments of prefect.yaml.

    Raises:
        InvalidDeployment: an entrypoint has no flow, its parameters do not fit the flow, or two
            deployments have one name.
    """
    resources: dict[str, Resource] = {}
    for definition in file.deployments:
        resource = DeploymentResource(
            definition=definition,
            flow=_load_flow(definition.entrypoint, project),
            pull_steps=file.pull,
        )
        _check_parameters(resource)
        if resource.name in resources:
            raise InvalidDeployment(
                f"prefect.yaml: {resource.name} is defined twice; give one another name"
            )
        resources[resource.name] = resource
    return list(resources.values())


def _load_flow(entrypoint: str, project: Path) -> Flow[Any, Any]:
    try:
        with chdir(project):
            return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except (MissingFlowError, ScriptError, OSError, ValueError, ImportError) as error:
        cause = getattr(error, "user_exc", error)
        raise InvalidDeployment(
            f"prefect.yaml: entrypoint {entrypoint!r} has no flow: {' '.join(str(cause).split())}; "
            "write it as FILE:FLOW, relative to the project"
        ) from None


def _check_parameters(resource: DeploymentResource) -> None:
    try:
        resource.flow.validate_parameters(resource.definition.parameters)
    except (ParameterTypeError, TypeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InvalidDeployment(
            f"prefect.yaml: parameters of {resource.name}: {'; '.join(lines)}; correct them"
        ) from None


def _crons(schedules: list[DeploymentSchedule]) -> list[Any]:
    return [
        _ServerSchedule(schedule.slug or "", schedule.schedule.cron, schedule.schedule.timezone)
        for schedule in schedules
        if isinstance(schedule.schedule, PrefectCron)
    ]


@dataclass(frozen=True)
class _ServerSchedule:
    slug: str
    cron: str
    timezone: str | None


def _shown(schedules: list[Any]) -> list[tuple[str, str, str]]:
    """Return what identifies schedules, whether or not they are active, in a fixed order."""
    return sorted((s.slug, s.cron, s.timezone or "UTC") for s in schedules)
