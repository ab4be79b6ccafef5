"""Optimizer state on disk, from which another run can continue. All ranks call both functions."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from models.architecture.t5 import T5
from models.errors import CorruptCheckpoint, DataMismatch
from models.training.distributed import DistributedContext
from models.training.optim import optimizer_state
from models.training.tensor_files import read_tensors, write_tensors


def save_optimizer(
    folder: Path, model: T5, optimizers: list[torch.optim.Optimizer], dist: DistributedContext
) -> None:
    """Write the optimizer state to a folder, readable at any world size.

    Raises:
        CheckpointFailed: the folder cannot be written.
    """
    if dist.is_main:
        shutil.rmtree(folder, ignore_errors=True)
    dist.barrier()
    write_tensors(folder, optimizer_state(model, optimizers), no_dist=dist.world_size == 1)


def load_optimizer(
    folder: Path, model: T5, optimizers: list[torch.optim.Optimizer], dist: DistributedContext
) -> None:
    """Fill the optimizer state, which must exist, from a folder.

    Raises:
        DataMismatch: the folder is missing, or is of another optimizer or model.
    """
    if not folder.is_dir():
        raise DataMismatch(
            f"start_optimizer: {folder} is missing; set training.checkpoint.save_optimizer of the "
            "run that it belongs to, and train that run again"
        )
    try:
        read_tensors(folder, optimizer_state(model, optimizers), no_dist=dist.world_size == 1)
    except (CorruptCheckpoint, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataMismatch(
            f"start_optimizer: {folder} is not the state of this optimizer and model: {reason}"
        ) from None
