"""params.yaml as a whole: a path in the file is the path of a folder or module of the code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dashboard.params import DashboardParams
from data_pipelines.params import DataParams
from models.params import ModelsParams
from registry.params import RegistryParams


@dataclass(frozen=True, kw_only=True)
class FlowsParams:
    """How the flow runs the stages (`flows.*`)."""

    parallel: int = 2
    """Stages that run at once where the graph allows it; DVC's lock bears about 4."""
    retries: int = 3
    """Times a stage is tried again when DVC's lock is refused."""
    dask_cluster: str = "distributed.LocalCluster"
    """Class of the Dask cluster that a run starts with `data_pipelines.engine: dask` and no
    scheduler named, e.g. dask_kubernetes.operator.KubeCluster."""
    dask_options: dict[str, Any] = field(default_factory=dict)
    """What that class is made with."""

    def __post_init__(self) -> None:
        if not 1 <= self.parallel <= 8:
            raise ValueError("parallel must lie between 1 and 8")
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
