"""params.yaml as a whole: a path in the file is the path of a folder or module of the code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dashboard.params import DashboardParams
from data_pipelines.params import DataParams
from flows.fleet.params import FleetParams
from models.params import ModelsParams
from registry.params import RegistryParams


@dataclass(frozen=True, kw_only=True)
class FlowsParams:
    """How the flow runs the stages (`flows.*`)."""

    max_parallel_stages: int = 2
    """Stages that run at once where the graph allows it; DVC's lock bears about 4."""
    retries: int = 3
    """Times a stage is tried again when DVC's lock is refused, or when its machine was taken away
    after it had saved (pre-emption)."""
    dask_cluster_class: str = "distributed.LocalCluster"
    """Class of the Dask cluster that a run starts with `data_pipelines.engine: dask` and no
    scheduler named, e.g. dask_kubernetes.operator.KubeCluster."""
    dask_cluster_kwargs: dict[str, Any] = field(default_factory=dict)
    """What that class is made with."""
    fleet: FleetParams = field(default_factory=FleetParams)

    def __post_init__(self) -> None:
        if not 1 <= self.max_parallel_stages <= 8:
            raise ValueError("max_parallel_stages must lie between 1 and 8")
        if self.retries < 0:
            raise ValueError("retries must not be negative")


@dataclass(frozen=True, kw_only=True)
class Params:
    """The whole of params.yaml."""

    data_pipelines: DataParams
    models: ModelsParams
    registry: RegistryParams = field(default_factory=RegistryParams)
    dashboard: DashboardParams = field(default_factory=DashboardParams)
    flows: FlowsParams = field(default_factory=FlowsParams)
