"""States of the random generators of a rank, as tensors of a checkpoint."""

from __future__ import annotations

import torch
from torch import Tensor

from models.training.distributed import DistributedContext

RANDOM_STATE = "random."
"""Prefix of the names of random states in a checkpoint; the rank follows."""


def get_random_state(dist: DistributedContext) -> dict[str, Tensor]:
    """Return the states of this rank's random generators, under names that contain the rank."""
    state = {f"{RANDOM_STATE}{dist.rank}": torch.get_rng_state()}
    if dist.device.type == "cuda":
        state[f"{RANDOM_STATE}cuda.{dist.rank}"] = torch.cuda.get_rng_state(dist.device)
    return state


def set_random_state(state: dict[str, Tensor], dist: DistributedContext) -> None:
    """Restore this rank's random generators.

    Args:
        state: result of `get_random_state`; other tensors in it are ignored.
        dist: rank and device.
    """
    torch.set_rng_state(state[f"{RANDOM_STATE}{dist.rank}"])
    if dist.device.type == "cuda":
        torch.cuda.set_rng_state(state[f"{RANDOM_STATE}cuda.{dist.rank}"], dist.device)
