"""AdamW and Adafactor, with their state sharded by fairscale on request."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.training.adafactor import Adafactor
from models.training.params import OptimParams


def build_optimizer(
    weights: list[nn.Parameter], params: OptimParams, *, shard_state: bool
) -> torch.optim.Optimizer:
    """Build an optimizer; `shard_state` distributes its state over the ranks (fairscale OSS)."""
    cls: type[torch.optim.Optimizer]
    arguments: dict[str, Any] = {"lr": params.lr, "weight_decay": params.weight_decay}
    if params.name == "adamw":
        cls = torch.optim.AdamW
        arguments |= {"betas": (0.9, 0.98), "fused": True}
    else:
        cls = Adafactor
    if not shard_state:
        return cls(weights, **arguments)
    from fairscale.optim.oss import OSS

    optimizer: torch.optim.Optimizer = OSS(weights, optim=cls, **arguments)
    return optimizer


def optimizer_state(model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Return the optimizer state that this rank holds, as `optimizer.WEIGHT.KEY` -> tensor.

    The names depend neither on the world size nor on how the state is sharded, so the ranks of any
    other world size can load their part of it.
    """
    names = {id(weight): name for name, weight in model.named_parameters()}
    return {
        f"optimizer.{names[id(weight)]}.{key}": value
        for optimizer in optimizers
        for weight, state in _local_optimizer(optimizer).state.items()
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def initialize_optimizer_state(optimizers: list[torch.optim.Optimizer]) -> None:
    """Create the optimizer state, all zeros, by a step with learning rate 0.

    Optimizers create their state in the first step; a checkpoint can only be loaded into tensors
    that exist.
    """
    for optimizer in optimizers:
        local = _local_optimizer(optimizer)
        rates = [group["lr"] for group in local.param_groups]
        for group in local.param_groups:
            group["lr"] = 0.0
            for weight in group["params"]:
                weight.grad = torch.zeros_like(weight)
        local.step()
        for group, rate in zip(local.param_groups, rates, strict=True):
            group["lr"] = rate
        local.zero_grad()
    for optimizer in optimizers:
        for state in _local_optimizer(optimizer).state.values():
            for value in state.values():
                if isinstance(value, Tensor):
                    value.zero_()


def _local_optimizer(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Return the optimizer that holds this rank's state: OSS wraps one."""
    inner: torch.optim.Optimizer = getattr(optimizer, "optim", optimizer)
    return inner
