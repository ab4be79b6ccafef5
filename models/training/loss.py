"""The training loss: cross-entropy of the targets, plus the output's and the routers' own losses.

Each process computes its part so that the mean over processes is the loss of the whole batch, as
one process would compute it: cross-entropy, z-losses and the balance loss all count every token
once, wherever it is. For the balance loss that needs the other processes' loads (one small sum).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.architecture.moe.losses import balance_loss
from models.architecture.t5 import T5
from models.training.batches import Batch
from models.training.distributed import Group
from models.training.params import LossParams


@dataclass(frozen=True, kw_only=True)
class Loss:
    """`total` is what is minimised; `nats` the summed cross-entropy of `tokens` targets."""

    total: Tensor
    nats: Tensor
    tokens: Tensor
    balance: Tensor


def compute(
    model: torch.nn.Module,
    config_of: T5,
    batch: Batch,
    *,
    params: LossParams | None = None,
    group: Group | None = None,
    targets: Tensor | None = None,
    parts: int = 1,
) -> Loss:
    """Loss of a batch. `model` may wrap `config_of` (data parallel); both share the layers.

    `targets`: number of targets in the whole step, over all processes of `group` and all `parts` a
    process computes one after the other; by default those of this batch.
    """
    params, group = params or LossParams(), group or Group()
    logits = model(
        batch["encoder_input_tokens"],
        batch["encoder_segment_ids"],
        batch["decoder_input_tokens"],
        batch["decoder_segment_ids"],
    )
    valid = batch["decoder_segment_ids"] > 0
    tokens = valid.sum()
    mean_over = (tokens if targets is None else targets).clamp(min=1) / group.world
    nats, added = _cross_entropy(logits, batch["decoder_target_tokens"], valid, params)
    total = (nats + added) / mean_over
    balance = torch.zeros((), device=logits.device)
    if config_of.config.moe is not None:
        balance, z_loss = _routers(config_of, group)
        moe = config_of.config.moe
        total = (
            total + (moe.load_balance_loss_weight * balance + moe.z_loss_weight * z_loss) / parts
        )
    return Loss(total=total, nats=nats.detach(), tokens=tokens, balance=balance.detach())


def _cross_entropy(
    logits_BLV: Tensor, target_BL: Tensor, valid_BL: Tensor, params: LossParams
) -> tuple[Tensor, Tensor]:
    """Summed over the targets: cross-entropy, and what smoothing and the z-loss add to it.

    Smoothing e: the target has probability 1 - e + e/V, every other word e/V (Szegedy et al., arXiv
    1512.00567). z-loss: weight * (log Z)^2 (as in T5X; PaLM, arXiv 2204.02311, section 5).
    """
    targets = target_BL.masked_fill(~valid_BL, -100).flatten()
    logits = logits_BLV.flatten(0, 1).float()
    nats = F.cross_entropy(logits, targets, reduction="sum")
    added = torch.zeros((), device=logits.device)
    if params.label_smoothing or params.z_loss_weight:
        log_z = torch.logsumexp(logits, dim=-1)[valid_BL.flatten()]
        added = added + params.z_loss_weight * log_z.square().sum()
        if params.label_smoothing:
            means = logits.mean(-1)[valid_BL.flatten()]
            added = added + params.label_smoothing * ((log_z - means).sum() - nats)
    return nats, added


def _routers(model: T5, group: Group) -> tuple[Tensor, Tensor]:
    """Balance and z-loss, summed over layers, as published: each router has losses of its own.

    A layer's share of first choices is taken over all processes, so the balance loss is that of the
    whole batch (GShard and Switch take each device's own; over the whole batch experts may
    specialise more, Qiu et al., arXiv 2501.11873).
    """
    found = [layer.routing for layer in model.moe_layers().values()]
    routings = [routing for routing in found if routing is not None]
    own_LE = torch.stack([routing.first_E for routing in routings])
    all_LE = group.sum(own_LE)
    part_L = own_LE.sum(1) * group.world / all_LE.sum(1).clamp(min=1)
    balance = [balance_loss(all_E, r.probs_E) for all_E, r in zip(all_LE, routings, strict=True)]
    z_loss = torch.stack([routing.z_loss for routing in routings])
    return (part_L * torch.stack(balance)).sum(), (part_L * z_loss).sum()
