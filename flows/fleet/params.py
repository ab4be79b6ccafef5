"""Parameters of the fleet: `flows.fleet.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Launcher = Literal["local", "rendezvous", "work_pool", "slurm"]


@dataclass(frozen=True, kw_only=True)
class FleetParams:
    """The nodes that train a run (`flows.fleet`). All nodes share the project's files."""

    launcher: Launcher = "local"
    """local: this node; rendezvous: this node and those on which `flanmoe fleet join` is called;
    work_pool: agents that a Prefect work pool starts, e.g. on Kubernetes; slurm: sbatch."""
    nodes: int = 1
    """Number of nodes; each runs `models.training.processes_per_node` processes."""
    endpoint: str = ""
    """HOST:PORT at which the other nodes reach node 0; slurm determines it itself."""
    work_pool: str = ""
    """Name of the Prefect work pool."""
    image: str = "flanmoe:latest"
    """Container image with this project in `project_dir`, for a Kubernetes work pool."""
    namespace: str = "default"
    """Kubernetes namespace."""
    volume_claim: str = ""
    """PersistentVolumeClaim with the project, its data and its runs; mounted at `project_dir`."""
    project_dir: str = "/project"
    """Path of the project on the nodes of the work pool."""
    gpus: int = 0
    """GPUs per node; `models.training.processes_per_node` should be equal to it."""
    cpus: int = 4
    """CPU cores per node."""
    memory_gb: int = 16
    """Memory per node in GiB."""
    partition: str = ""
    """Slurm partition; empty: Slurm's default."""
    time_limit_hours: float = 24.0
    """Time limit of a Slurm job in hours."""

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.cpus < 1 or self.gpus < 0 or self.memory_gb < 1:
            raise ValueError("nodes, cpus and memory_gb must be at least 1, gpus at least 0")
        if self.launcher == "local" and self.nodes > 1:
            raise ValueError(f"launcher local is a single node, but nodes is {self.nodes}")
        host, colon, port = self.endpoint.rpartition(":")
        if self.endpoint and not (host and colon and port.isdigit()):
            raise ValueError(f"endpoint: {self.endpoint!r} must be HOST:PORT")
        if self.launcher in ("rendezvous", "work_pool") and not self.endpoint:
            raise ValueError(f"launcher {self.launcher} needs an endpoint, HOST:PORT")
        if self.launcher == "work_pool" and not self.work_pool:
            raise ValueError("launcher work_pool needs the name of a work_pool")
