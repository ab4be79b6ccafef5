"""The usage log: one JSON line for each stage and promotion, for metrics, quotas and log shippers.

The file is `.flanmoe/usage.jsonl` of the project; its workspaces write to it as well. A line is
appended in one write, so that several runs can share the file.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from data_pipelines.files import append_json_line, read_json_lines
from flows.config.schema import Params
from flows.errors import QuotaExceeded
from flows.runtime.workspace import STATE

FILE = STATE / "usage.jsonl"
WEEK_S = 7 * 24 * 3600.0
_DEVICES = Path("/dev")


class UsageEntry(BaseModel):
    """A line of the usage log."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: Literal["stage", "promotion"]
    time: float
    """Seconds since 1970 at the end."""
    workspace: str
    flow_run: str
    """Id of the Prefect flow run."""
    name: str
    """Stage, or registered model."""
    outcome: str
    """Status of the stage, or outcome of the promotion."""
    attempt: int = 1
    """1 for the first try of a stage in a run."""
    seconds: float = 0.0
    gpu_hours: float = 0.0
    mfu: float | None = None
    """Model FLOPs utilization of a finished training; None without a measurement."""


def record_usage(project: Path, entry: UsageEntry) -> None:
    """Append an entry to the log of a project."""
    append_json_line(project / FILE, entry.model_dump())


def read_usage(project: Path) -> list[UsageEntry]:
    """Return the entries of a project, oldest first; lines of another form are skipped."""
    values, _ = read_json_lines(project / FILE)
    entries = []
    for value in values:
        try:
            entries.append(UsageEntry.model_validate(value))
        except ValidationError:
            continue
    return entries


def count_gpus(params: Params) -> int:
    """Return the number of GPUs that a training of this project occupies."""
    fleet = params.flows.fleet
    if fleet.launcher != "local":
        return fleet.gpus * fleet.nodes
    present = len([path for path in _DEVICES.glob("nvidia[0-9]*") if path.name[6:].isdigit()])
    return min(present, params.models.training.processes_per_node)


def remaining_gpu_hours(entries: Iterable[UsageEntry], params: Params, flow_run: str) -> float:
    """Return the GPU hours that a run may still use; infinite without a quota.

    Args:
        entries: the usage log.
        params: parameters with `flows.max_gpu_hours_per_run` and `_per_week`.
        flow_run: id of the run.
    """
    quotas = params.flows
    remaining = float("inf")
    used = list(entries)
    if quotas.max_gpu_hours_per_run is not None:
        by_run = sum(entry.gpu_hours for entry in used if entry.flow_run == flow_run)
        remaining = quotas.max_gpu_hours_per_run - by_run
    if quotas.max_gpu_hours_per_week is not None:
        start = time.time() - WEEK_S
        by_week = sum(entry.gpu_hours for entry in used if entry.time >= start)
        remaining = min(remaining, quotas.max_gpu_hours_per_week - by_week)
    return remaining


def training_time_limit(project: Path, params: Params, stage: str, flow_run: str) -> float | None:
    """Return the seconds after which a training would exceed the quota of GPU hours.

    Args:
        project: folder of the usage log.
        params: parameters of the run.
        stage: the stage that is about to start.
        flow_run: id of the run.

    Returns:
        The seconds; None without a quota, or if the stage uses no GPU.

    Raises:
        QuotaExceeded: nothing of the quota remains.
    """
    num_gpus = count_gpus(params) if stage.startswith("train@") else 0
    if not num_gpus:
        return None
    remaining = remaining_gpu_hours(read_usage(project), params, flow_run)
    if remaining == float("inf"):
        return None
    if remaining <= 0:
        raise QuotaExceeded(
            f"{stage}: the quota of GPU hours is used up (flows.max_gpu_hours_per_run, "
            "flows.max_gpu_hours_per_week); raise it, or wait until the week is over"
        )
    return 3600 * remaining / num_gpus
