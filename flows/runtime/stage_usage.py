"""Write the usage log: what stages and promotions of a flow run used, and how they ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from prefect.runtime import flow_run, task_run

from flows.runtime.run_context import RunContext
from flows.runtime.usage import UsageEntry, count_gpus, record_usage, training_time_limit
from flows.runtime.workspace import project_of
from models.replicate import Replicate
from registry.promotion import PromotionReport


@contextmanager
def measure_stage(context: RunContext, stage: str) -> Iterator[None]:
    """Record the stage that runs in the block: its status, time, GPU hours and utilization."""
    start = time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - start
        status = context.status_by_stage.get(stage, "stopped")
        is_training = stage.startswith("train@") and status != "cached"
        num_gpus = count_gpus(context.params) if is_training else 0
        with suppress(OSError):  # a full disk ends no stage
            record_usage(
                project_of(context.workspace),
                UsageEntry(
                    kind="stage",
                    time=time.time(),
                    workspace=str(context.workspace),
                    flow_run=str(flow_run.id or ""),
                    name=stage,
                    outcome=status,
                    attempt=task_run.run_count or 1,
                    seconds=seconds,
                    gpu_hours=num_gpus * seconds / 3600,
                    mfu=_read_mfu(context.workspace, stage)
                    if is_training and status == "ran"
                    else None,
                ),
            )


def stage_time_limit(context: RunContext, stage: str) -> float | None:
    """Return the seconds that a stage may take by `flows.max_stage_hours` and the quotas.

    Raises:
        QuotaExceeded: the quota of GPU hours is used up.
    """
    project = project_of(context.workspace)
    quota = training_time_limit(project, context.params, stage, str(flow_run.id or ""))
    hours = context.params.flows.max_stage_hours
    limits = [limit for limit in (quota, hours and 3600 * hours) if limit is not None]
    return min(limits, default=None)


def record_promotions(workspace: Path, model: str, reports: Sequence[PromotionReport]) -> None:
    """Record the outcome of every version that was considered for promotion."""
    for report in reports:
        with suppress(OSError):
            record_usage(
                project_of(workspace),
                UsageEntry(
                    kind="promotion",
                    time=time.time(),
                    workspace=str(workspace),
                    flow_run=str(flow_run.id or ""),
                    name=model,
                    outcome=report.outcome,
                ),
            )


def _read_mfu(workspace: Path, stage: str) -> float | None:
    """Return the model FLOPs utilization that a training has measured."""
    replicate = Replicate.from_label(stage.partition("@")[2])
    path = workspace / replicate.folder / "execution.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8")).get("mfu")
    except (OSError, ValueError):
        return None
    return float(value) if isinstance(value, int | float) else None
