"""Parameters of the fleet: `flows.fleet.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from data_pipelines.bounds import Processes

Launcher = Literal["local", "rendezvous", "work_pool", "slurm"]
RequiredText = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class FleetParams:
    """The nodes that train a run (`flows.fleet`). All nodes share the project's files."""

    launcher: Launcher = "local"
    """local: this node; rendezvous: this node and those on which `flanmoe fleet join` is called;
    work_pool: agents that a Prefect work pool starts, e.g. on Kubernetes; slurm: sbatch."""
    nodes: Processes = 1
    """Number of nodes; each runs `models.training.processes_per_node` processes."""
    endpoint: str = ""
    """HOST:PORT at which the other nodes reach node 0; slurm determines it itself."""
    work_pool: str = ""
    """Name of the Prefect work pool."""
    image: RequiredText = "flanmoe:latest"
    """Container image with this project in `project_dir`, for a Kubernetes work pool."""
    namespace: RequiredText = "default"
    """Kubernetes namespace."""
    volume_claim: str = ""
    """PersistentVolumeClaim with the project, its data and its runs; mounted at `project_dir`."""
    project_dir: Annotated[str, Field(pattern="^/")] = "/project"
    """Path of the project on the nodes of the work pool."""
    gpus: Annotated[int, Field(ge=0, le=4096)] = 0
    """GPUs per node; `models.training.processes_per_node` should be equal to it."""
    cpus: Processes = 4
    """CPU cores per node."""
    memory_gb: Annotated[int, Field(ge=1, le=1_000_000)] = 16
    """Memory per node in GiB."""
    partition: str = ""
    """Slurm partition; empty: Slurm's default."""
    time_limit_hours: Annotated[float, Field(gt=0, le=87_600)] = 24.0
    """Time limit of a Slurm job in hours."""

    def __post_init__(self) -> None:
        if self.launcher == "local" and self.nodes > 1:
            raise ValueError(
                f"nodes: {self.nodes} must be 1 with launcher local; choose another launcher"
            )
        host, colon, port = self.endpoint.rpartition(":")
        if self.endpoint and not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f"endpoint: {self.endpoint!r} must be HOST:PORT")
        if self.launcher in ("rendezvous", "work_pool") and not self.endpoint:
            raise ValueError(f"launcher {self.launcher} needs an endpoint, HOST:PORT")
        if self.launcher == "work_pool" and not self.work_pool:
            raise ValueError("launcher work_pool needs the name of a work_pool")
