"""Parameters of the deployments: `flows.deployments.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field


@dataclass(frozen=True, kw_only=True)
class DeploymentParams:
    """Work pools, approval and alerts of the deployments that `flanmoe deploy` creates."""

    parallel_runs: Annotated[int, Field(ge=1, le=1000)] = 4
    """Maximum number of flow runs that the work pool `local` executes at once."""
    parallel_trainings: Annotated[int, Field(ge=1, le=1000)] = 1
    """Maximum number of them that train."""
    gpu_pool_type: Literal["process", "kubernetes"] = "process"
    """What the work pool `gpu-fleet` starts for each node of a run: a process on the machine of a
    worker, or a Kubernetes job with `flows.fleet.image`."""
    alert_block: Annotated[str, Field(pattern=r"^$|^[a-z0-9-]+/[a-z0-9-]+$")] = ""
    """Notification block of Prefect, as TYPE/NAME, e.g. `slack-webhook/team`, that alerts are sent
    to; empty: no alerts."""
    max_hours_without_run: Annotated[float, Field(ge=1, le=8760)] = 26.0
    """Hours without a completed data refresh after which an alert is sent."""
