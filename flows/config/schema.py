"""Schema of params.yaml: the path of a key is the path of a package or module in the code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from dashboard.params import DashboardParams
from data_pipelines.bounds import Retries
from data_pipelines.params import DataParams
from flows.deployments.params import DeploymentParams
from flows.fleet.params import FleetParams
from models.params import ModelsParams
from registry.params import RegistryParams


@dataclass(frozen=True, kw_only=True)
class FlowsParams:
    """How the pipeline runs the stages (`flows.*`)."""

    max_parallel_stages: Annotated[int, Field(ge=1, le=8)] = 2
    """Maximum number of stages that run in parallel; above about 4, DVC's lock is often busy."""
    retries: Retries = 3
    """Retries of a stage that could not acquire DVC's lock, or that was preempted."""
    max_stage_hours: Annotated[float, Field(gt=0, le=8760)] | None = None
    """Hours after which a stage is stopped; training saves a checkpoint first. null: no limit."""
    max_gpu_hours_per_run: Annotated[float, Field(gt=0, le=1e7)] | None = None
    """GPU hours after which a run's training is stopped with a checkpoint; null: no quota."""
    max_gpu_hours_per_week: Annotated[float, Field(gt=0, le=1e7)] | None = None
    """GPU hours of all runs of the project in seven days; null: no quota."""
    dask_cluster_class: Annotated[str, Field(pattern=r"^\w+(\.\w+)+$")] = "distributed.LocalCluster"
    """Class of the Dask cluster that a run starts if `data_pipelines.engine` is dask and
    `data_pipelines.scheduler` is empty, e.g. dask_kubernetes.operator.KubeCluster."""
    dask_cluster_kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of that class."""
    fleet: FleetParams = field(default_factory=FleetParams)
    deployments: DeploymentParams = field(default_factory=DeploymentParams)


@dataclass(frozen=True, kw_only=True)
class Params:
    """All parameters, the content of params.yaml."""

    data_pipelines: DataParams
    models: ModelsParams
    registry: RegistryParams = field(default_factory=RegistryParams)
    dashboard: DashboardParams = field(default_factory=DashboardParams)
    flows: FlowsParams = field(default_factory=FlowsParams)
