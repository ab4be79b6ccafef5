"""The training loss: cross-entropy of the targets, plus the routers' own losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.architecture.t5 import T5
from models.training.batches import Batch


@dataclass(frozen=True, kw_only=True)
class Loss:
    """`total` is what is minimised; `nats` the summed cross-entropy of `tokens` targets."""

    total: Tensor
    nats: Tensor
    tokens: Tensor
    balance: Tensor


def compute(
    model: torch.nn.Module, config_of: T5, batch: Batch, mean_over: Tensor | None = None
) -> Loss:
    """Loss of a batch. `model` may wrap `config_of` (data parallel); both share the layers.

    `mean_over`: number of targets the mean is taken over; by default those of this batch. Data
    parallel processes pass the mean over all of them, so that averaging gradients is exact.
    """
    logits = model(
        batch["tokens"], batch["segments"], batch["decoder_input"], batch["target_segments"]
    )
    valid = batch["target_segments"] > 0
    targets = batch["target_tokens"].masked_fill(~valid, -100)
    nats = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum")
    tokens = valid.sum()
    total = nats / (mean_over if mean_over is not None else tokens)
    balance = torch.zeros(())
    moe = config_of.config.moe
    if moe is not None:
        routings = [layer.routing for layer in config_of.moe_layers().values()]
        present = [routing for routing in routings if routing is not None]
        # Summed over layers, as published: each layer's router has a loss of its own.
        balance = torch.stack([routing.balance_loss for routing in present]).sum()
        total = total + moe.balance_loss * balance
        if moe.z_loss:
            total = total + moe.z_loss * torch.stack([r.z_loss for r in present]).sum()
    return Loss(total=total, nats=nats.detach(), tokens=tokens, balance=balance.detach())
