"""The execution record, runs/NAME/seed_N/execution.json: commit, device and times of a training.

It is apart from the run record, because it differs whenever a run is repeated. DVC does not track
it: dvc.lock changes only if a result changes.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import torch

from models.evaluation.device import processor_name
from models.training.result import Progress


@dataclass(frozen=True, kw_only=True)
class ExecutionRecord:
    """How a run was executed the last time it was trained on this machine."""

    weights_sha256: str
    """Weights that the execution gave; a record of other weights is ignored."""
    git_commit: str
    device: str
    """Type of the device of each rank: cpu or cuda."""
    processor: str
    """Model of that device."""
    training_seconds: float
    """Time in optimizer steps, over all attempts."""
    flops_per_second: float
    mfu: float
    """Model FLOPs utilisation: `flops_per_second` over the peak of all ranks."""
    peak_flops: float
    """Peak FLOP/s of one rank's device."""
    resumed_from_step: int
    """Checkpoint that the last attempt resumed from; 0 if it began at step 0."""
    finished_at: float
    """Unix time, in seconds."""

    def to_dict(self) -> dict[str, Any]:
        """Return the values of the JSON file."""
        return dataclasses.asdict(self)


def execution_record(
    progress: Progress,
    *,
    weights_sha256: str,
    training_flops: float,
    peak_flops: float,
    commit: str,
    device: torch.device,
    world_size: int = 1,
) -> ExecutionRecord:
    """Return the record of a training that ends now.

    Args:
        progress: counters of the run.
        weights_sha256: hash of its weights.
        training_flops: its cost, without recomputation.
        peak_flops: peak FLOP/s of one rank's device; 0 without training.
        commit: commit of the code.
        device: device of a rank.
        world_size: number of ranks.
    """
    flops_per_second = training_flops / max(progress.seconds, 1e-9)
    return ExecutionRecord(
        weights_sha256=weights_sha256,
        git_commit=commit,
        device=device.type,
        processor=processor_name(device),
        training_seconds=round(progress.seconds, 2),
        flops_per_second=round(flops_per_second),
        mfu=round(flops_per_second / peak_flops / world_size, 4) if peak_flops else 0.0,
        peak_flops=round(peak_flops),
        resumed_from_step=progress.resumed_from_step,
        finished_at=round(time.time(), 1),
    )
