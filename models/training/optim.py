"""Optimizers: torch's own, their state sharded by fairscale when several processes train."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from models.training.params import OptimParams


def build(model: nn.Module, params: OptimParams, *, sharded: bool) -> torch.optim.Optimizer:
    """`sharded`: fairscale OSS, each process keeping the state of its part of the weights.

    ZeRO stage 1, Rajbhandari et al., arXiv 1910.02054. Used with torch's own DDP, with which it
    is exact; fairscale's ShardedDataParallel is wrong with its default reduce buffer.
    """
    kind: type[torch.optim.Optimizer]
    arguments: dict[str, Any] = {"lr": params.lr, "weight_decay": params.weight_decay}
    if params.name == "adamw":
        kind = torch.optim.AdamW
        arguments |= {"betas": (0.9, 0.98), "fused": True}
    else:
        kind = torch.optim.Adafactor
    weights = list(model.parameters())
    if not sharded:
        return kind(weights, **arguments)
    from fairscale.optim.oss import OSS

    optimizer: torch.optim.Optimizer = OSS(weights, optim=kind, **arguments)
    return optimizer


def state_of(optimizer: torch.optim.Optimizer, *, sharded: bool) -> dict[str, Any]:
    """Whole state on every process that asks; with OSS it is complete on rank 0 only."""
    if sharded:
        optimizer.consolidate_state_dict(recipient_rank=0)  # type: ignore[attr-defined]
        if torch.distributed.get_rank() != 0:
            return {}
    return dict(optimizer.state_dict())
