"""The training loss: cross-entropy, label smoothing, output z-loss and the losses of the routers.

Each rank scales its part so that the sum over microbatches, averaged over ranks, is the loss of the
global batch, in which every token has the same weight. The load-balancing loss is a product of two
means over tokens: one of them, the first-choice shares, is taken over the microbatch on all ranks
(one small all-reduce), because the next microbatch is not yet known.

Shape suffixes: B rows, L target tokens of a row, V vocabulary, N layers, E experts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.architecture.moe.losses import load_balance_loss
from models.architecture.t5 import T5
from models.training.batches import Batch
from models.training.distributed import DistributedContext
from models.training.params import LossParams


@dataclass(frozen=True, kw_only=True)
class TrainingLoss:
    """The loss of one microbatch on one rank; all fields are scalars."""

    total: Tensor
    """This rank's part of the loss that is minimised, with gradient."""
    cross_entropy_sum: Tensor
    """Cross-entropy in nats, summed over the targets."""
    num_targets: Tensor
    """Target tokens (int64)."""
    load_balance_loss: Tensor
    """This rank's part of the load-balancing loss, without its weight in the loss, reduced over
    layers by the model's `router_loss_reduction`; 0 without MoE layers."""


def compute_loss(
    model: torch.nn.Module,
    unwrapped_model: T5,
    batch: Batch,
    *,
    params: LossParams | None = None,
    dist: DistributedContext | None = None,
    num_targets: Tensor | None = None,
    num_inputs: Tensor | None = None,
) -> TrainingLoss:
    """Run a forward pass and compute its loss.

    Args:
        model: module to call; may be a data-parallel wrapper of `unwrapped_model`.
        unwrapped_model: model that holds the configuration and the routers.
        batch: columns of a microbatch, int64 [B, L] each.
        params: label smoothing and output z-loss; neither by default.
        dist: ranks that share the global batch; this process alone by default.
        num_targets: targets of the step over all ranks and microbatches, int64 scalar; those of
            this microbatch by default.
        num_inputs: encoder tokens of the step, as `num_targets`; both weigh the router losses.

    Returns:
        The loss and its parts.
    """
    params, dist = params or LossParams(), dist or DistributedContext()
    logits_BLV = model(
        batch["encoder_input_tokens"],
        batch["encoder_segment_ids"],
        batch["decoder_input_tokens"],
        batch["decoder_segment_ids"],
    )
    valid_BL = batch["decoder_segment_ids"] > 0
    own_targets = valid_BL.sum()
    targets_per_rank = (own_targets if num_targets is None else num_targets).clamp(
        min=1
    ) / dist.world_size
    cross_entropy_sum, regularisation = _cross_entropy(
        logits_BLV, batch["decoder_target_tokens"], valid_BL, params
    )
    total = (cross_entropy_sum + regularisation) / targets_per_rank
    balance = torch.zeros((), device=logits_BLV.device)
    moe = unwrapped_model.config.moe
    if moe is not None:
        losses = _router_losses(unwrapped_model, dist, num_inputs, num_targets)
        balance = losses.balance
        total = total + losses.weighted
    return TrainingLoss(
        total=total,
        cross_entropy_sum=cross_entropy_sum.detach(),
        num_targets=own_targets,
        load_balance_loss=balance.detach(),
    )


def _cross_entropy(
    logits_BLV: Tensor, target_BL: Tensor, valid_BL: Tensor, params: LossParams
) -> tuple[Tensor, Tensor]:
    """Compute sums over the targets of the cross-entropy, and of smoothing and z-loss.

    Label smoothing e: the target has probability 1 - e + e/V, every other token e/V (Szegedy et
    al., arXiv 1512.00567). z-loss: weight * (log Z)^2 (T5X; PaLM, arXiv 2204.02311, section 5).
    """
    targets = target_BL.masked_fill(~valid_BL, -100).flatten()
    logits = logits_BLV.flatten(0, 1).float()
    cross_entropy_sum = F.cross_entropy(logits, targets, reduction="sum")
    regularisation = torch.zeros((), device=logits.device)
    if params.label_smoothing or params.z_loss_weight:
        log_z = torch.logsumexp(logits, dim=-1)[valid_BL.flatten()]
        regularisation = regularisation + params.z_loss_weight * log_z.square().sum()
        if params.label_smoothing:
            mean_logits = logits.mean(-1)[valid_BL.flatten()]
            regularisation = regularisation + params.label_smoothing * (
                (log_z - mean_logits).sum() - cross_entropy_sum
            )
    return cross_entropy_sum, regularisation


@dataclass(frozen=True, kw_only=True)
class _RouterLosses:
    weighted: Tensor
    """Load-balancing loss and z-loss with their weights, reduced over layers."""
    balance: Tensor
    """Load-balancing loss without its weight, reduced over layers."""


def _router_losses(
    model: T5, dist: DistributedContext, num_inputs: Tensor | None, num_targets: Tensor | None
) -> _RouterLosses:
    """Compute the router losses of the last forward pass.

    The shares of the experts are taken over all ranks, so the load-balancing loss is that of the
    global batch (GShard and Switch take the shares of each device; over the global batch experts
    can specialise more, Qiu et al., arXiv 2501.11873).

    Args:
        model: model whose MoE layers hold the routings.
        dist: ranks that share the global batch.
        num_inputs: encoder tokens of the step; None: those of this forward pass on all ranks.
        num_targets: decoder tokens of the step, as `num_inputs`.

    Returns:
        The losses, each layer's scaled by its share of the step's tokens and by the world size.
    """
    layer_by_name = {n: layer for n, layer in model.moe_layers().items() if layer.routing}
    layers = list(layer_by_name.values())
    routings = [layer.routing for layer in layers if layer.routing is not None]
    own_NE = torch.stack([routing.balance_counts_E for routing in routings])
    all_NE = dist.all_reduce_sum(own_NE)
    choices_N = own_NE.new_tensor([routing.balance_choices for routing in routings])
    step_tokens_N = all_NE.sum(1) / choices_N
    if num_inputs is not None and num_targets is not None:
        step_tokens_N = torch.stack(
            [num_inputs if name.startswith("encoder.") else num_targets for name in layer_by_name]
        )
    own_tokens_N = own_NE.sum(1) / choices_N
    share_N = own_tokens_N * dist.world_size / step_tokens_N.clamp(min=1)
    balance_N = share_N * torch.stack(
        [
            load_balance_loss(
                all_E, routing.mean_probs_E, choices_per_token=routing.balance_choices
            )
            for all_E, routing in zip(all_NE, routings, strict=True)
        ]
    )
    z_loss_N = share_N * torch.stack([routing.z_loss for routing in routings])
    assert model.config.moe is not None
    moe = model.config.moe
    weight_N = balance_N.new_tensor(
        [layer.router.config.load_balance_loss_weight for layer in layers]
    )
    weighted_N = weight_N * balance_N + moe.z_loss_weight * z_loss_N
    if moe.router_loss_reduction == "mean":
        return _RouterLosses(weighted=weighted_N.mean(), balance=balance_N.mean())
    return _RouterLosses(weighted=weighted_N.sum(), balance=balance_N.sum())
