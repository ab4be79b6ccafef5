"""Schema of params.yaml: the path of a key is the path of a package or module in the code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from dashboard.params import DashboardParams
from data_pipelines.bounds import Retries
from data_pipelines.params import DataParams
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
    dask_cluster_class: Annotated[str, Field(pattern=r"^\w+(\.\w+)+$")] = "distributed.LocalCluster"
    """Class of the Dask cluster that a run starts if `data_pipelines.engine` is dask and
    `data_pipelines.scheduler` is empty, e.g. dask_kubernetes.operator.KubeCluster."""
    dask_cluster_kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of that class."""
    fleet: FleetParams = field(default_factory=FleetParams)


@dataclass(frozen=True, kw_only=True)
class Params:
    """All parameters, the content of params.yaml."""

    data_pipelines: DataParams
    models: ModelsParams
    registry: RegistryParams = field(default_factory=RegistryParams)
    dashboard: DashboardParams = field(default_factory=DashboardParams)
    flows: FlowsParams = field(default_factory=FlowsParams)
