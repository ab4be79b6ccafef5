"""Parameters of the fleet: `flows.fleet.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass

LAUNCHERS = ("local", "rendezvous", "work_pool", "slurm")


@dataclass(frozen=True, kw_only=True)
class FleetParams:
    """The machines that training runs on (`flows.fleet`). All see the same files."""

    launcher: str = "local"
    """local: this machine; rendezvous: this one and those on which `flanmoe fleet join` is called;
    work_pool: agents that a Prefect work pool starts, e.g. on Kubernetes; slurm: sbatch."""
    nodes: int = 1
    """Machines; each has `models.training.processes_per_node` processes."""
    endpoint: str = ""
    """HOST:PORT of the first machine, where the others find it; with slurm it is found out."""
    work_pool: str = ""
    """Name of the Prefect work pool."""
    image: str = "flanmoe:latest"
    """Container image with this project in `project_dir`, for a Kubernetes work pool."""
    namespace: str = "default"
    """Of Kubernetes."""
    volume_claim: str = ""
    """PersistentVolumeClaim that is mounted at `project_dir`: the project, its data and its runs."""
    project_dir: str = "/project"
    """Where machines of the fleet see the project."""
    gpus: int = 0
    """GPUs of each machine; `models.training.processes_per_node` should be as many."""
    cpus: int = 4
    """Processors of each machine."""
    memory_gb: int = 16
    """Memory of each machine."""
    partition: str = ""
    """Of Slurm; empty: its default."""
    time_limit_hours: float = 24.0
    """Longest time of a Slurm job."""

    def __post_init__(self) -> None:
        if self.launcher not in LAUNCHERS:
            raise ValueError(
                f"launcher is {self.launcher!r}: it must be one of {', '.join(LAUNCHERS)}"
            )
        if self.nodes < 1 or self.cpus < 1 or self.gpus < 0 or self.memory_gb < 1:
            raise ValueError("nodes, cpus and memory_gb must be at least 1, gpus not negative")
        if self.launcher == "local" and self.nodes > 1:
            raise ValueError("launcher local is one machine, and nodes is above 1")
        host, colon, port = self.endpoint.rpartition(":")
        if self.endpoint and not (host and colon and port.isdigit()):
            raise ValueError(f"endpoint is {self.endpoint!r}: it must be HOST:PORT")
        if self.launcher in ("rendezvous", "work_pool") and not self.endpoint:
            raise ValueError(f"launcher {self.launcher} needs an endpoint, HOST:PORT")
        if self.launcher == "work_pool" and not self.work_pool:
            raise ValueError("launcher work_pool needs the name of a work_pool")
