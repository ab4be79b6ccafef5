"""Final weights of a run: of the last step, of the best checkpoint, or a checkpoint average.

Checkpoint averaging near the end of training: ablations of FLAN-MoE (arXiv 2305.14705). Stacked
expert weights are averaged elementwise: expert i of one checkpoint is expert i of the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.training.checkpoint import Checkpointer
from models.training.tensor_files import read_tensors


def load_final_weights(checkpointer: Checkpointer, weights: dict[str, Tensor]) -> None:
    """Set the weights, in place, as `checkpoint.final_weights` says.

    Args:
        checkpointer: checkpoints of the run, all on disk.
        weights: weights of the last step by their name in a checkpoint, sharded or not.

    Raises:
        CorruptCheckpoint: a checkpoint is unreadable.
    """
    params, no_dist = checkpointer.params, checkpointer.dist.world_size == 1
    checkpoints = checkpointer.list()
    if params.final_weights == "average":
        folders = [checkpoint.folder for checkpoint in checkpoints[-params.keep_last :]]
        average_checkpoints(folders, weights, no_dist=no_dist)
    elif params.final_weights == "best":
        best = checkpointer.best(checkpoints)
        if best is not None:
            read_tensors(best.folder, weights, no_dist=no_dist)


def average_checkpoints(
    folders: Sequence[Path], weights: dict[str, Tensor], *, no_dist: bool = True
) -> None:
    """Set the weights, in place, to their mean over checkpoints, summed in float64.

    Args:
        folders: checkpoint folders.
        weights: tensors by their name in a checkpoint, sharded or not.
        no_dist: read without collectives, in a single process.

    Raises:
        CorruptCheckpoint: a tensor is missing or unreadable.
    """
    means = {name: torch.zeros_like(w, dtype=torch.float64) for name, w in weights.items()}
    for folder in folders:
        read_tensors(folder, weights, no_dist=no_dist)
        for name, weight in weights.items():
            means[name] += weight.double() / len(folders)
    for name, weight in weights.items():
        weight.copy_(means[name])
