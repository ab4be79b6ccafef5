"""Tensors in folders of safetensors, written and read by any world size without pickles."""

from __future__ import annotations

from pathlib import Path

import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)

from models.errors import CheckpointFailed, CorruptCheckpoint
from models.training.random_state import RANDOM_STATE


def write_tensors(folder: Path, tensors: dict[str, Tensor], *, no_dist: bool = True) -> None:
    """Write tensors, sharded or not, to safetensors in a folder; each rank writes its shard.

    Raises:
        CheckpointFailed: the folder cannot be written.
    """
    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    try:
        dcp.save(tensors, storage_writer=writer, no_dist=no_dist)  # type: ignore[attr-defined]
    except (OSError, RuntimeError, CheckpointException) as error:
        raise write_failure(folder, error) from None


def read_tensors(folder: Path, tensors: dict[str, Tensor], *, no_dist: bool = True) -> None:
    """Fill tensors, in place, from the safetensors of a checkpoint.

    Args:
        folder: checkpoint folder.
        tensors: tensors by name, sharded or not.
        no_dist: read without collectives, in a single process.

    Raises:
        CorruptCheckpoint: a tensor other than a random state is missing, or a file is unreadable.
    """
    reader = HuggingFaceStorageReader(str(folder))
    names = reader.read_metadata().state_dict_metadata
    missing = [n for n in tensors if n not in names and not n.startswith(RANDOM_STATE)]
    if missing:
        raise CorruptCheckpoint(f"{folder}: tensor {missing[0]} is missing; delete {folder}")
    present = {name: tensor for name, tensor in tensors.items() if name in names}
    try:
        dcp.load(  # type: ignore[attr-defined]
            present, storage_reader=reader, no_dist=no_dist
        )
    except CheckpointException as error:
        raise CorruptCheckpoint(f"{folder} is unreadable: {_reason(error)}; delete it") from None


def _reason(error: BaseException) -> str:
    if isinstance(error, CheckpointException):  # the first rank's error explains the others
        error = next(iter(error.failures.values()))[0]
    return " ".join(str(error).split()) or type(error).__name__


def write_failure(folder: Path, error: BaseException) -> CheckpointFailed:
    """Return the error of a folder that could not be written, with what to do."""
    return CheckpointFailed(
        f"{folder} could not be written: {_reason(error)}; earlier checkpoints are intact: free "
        "disk space or make the folder writable, then rerun to resume from the last one"
    )
