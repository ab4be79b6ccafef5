"""Optimizers: torch's own, their state sharded by fairscale where asked."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from models.training.adafactor import ShardedAdafactor
from models.training.params import OptimParams


def build(
    weights: list[nn.Parameter], params: OptimParams, *, sharded: bool
) -> torch.optim.Optimizer:
    """`sharded`: fairscale OSS, each process keeping the state of its part of the weights."""
    kind: type[torch.optim.Optimizer]
    arguments: dict[str, Any] = {"lr": params.lr, "weight_decay": params.weight_decay}
    if params.name == "adamw":
        kind = torch.optim.AdamW
        arguments |= {"betas": (0.9, 0.98), "fused": True}
    else:
        spread = any(isinstance(weight, DTensor) for weight in weights)
        kind = ShardedAdafactor if spread else torch.optim.Adafactor
    if not sharded:
        return kind(weights, **arguments)
    from fairscale.optim.oss import OSS

    optimizer: torch.optim.Optimizer = OSS(weights, optim=kind, **arguments)
    return optimizer


def named_state(model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """`optimizer.WEIGHT.KEY` -> tensor, of the weights whose state this process keeps.

    The names do not depend on how many processes there are or how state is sharded: together they
    make one whole, and any other number of processes finds its part in it.
    """
    names = {id(weight): name for name, weight in model.named_parameters()}
    return {
        f"optimizer.{names[id(weight)]}.{key}": value
        for optimizer in optimizers
        for weight, kept in _own(optimizer).state.items()
        for key, value in kept.items()
        if isinstance(value, Tensor)
    }


def make_state(optimizers: list[torch.optim.Optimizer]) -> None:
    """Lets the optimizers make their state, all zeros, by a step that changes nothing."""
    for optimizer in optimizers:
        own = _own(optimizer)
        rates = [group["lr"] for group in own.param_groups]
        for group in own.param_groups:
            group["lr"] = 0.0
            for weight in group["params"]:
                weight.grad = torch.zeros_like(weight)
        own.step()
        for group, rate in zip(own.param_groups, rates, strict=True):
            group["lr"] = rate
        own.zero_grad()
    for optimizer in optimizers:
        for kept in _own(optimizer).state.values():
            for value in kept.values():
                if isinstance(value, Tensor):
                    value.zero_()


def _own(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimizer of the weights whose state this process keeps: OSS has one inside."""
    inner: torch.optim.Optimizer = getattr(optimizer, "optim", optimizer)
    return inner
