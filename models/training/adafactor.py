"""Adafactor (Shazeer and Stern, arXiv 1804.04235) as in T5X, for plain and sharded weights.

With g the gradient, t the step from 1, lr the learning rate and RMS the root mean square:

    s     = g^2 + 1e-30
    beta  = 1 - t^-0.8
    R, C  = beta * R + (1 - beta) * mean of s over columns, over rows
    u     = g / sqrt(R / mean(R)) / sqrt(C)
    u     = u / max(1, RMS(u))
    w     = w - lr * max(1e-3, RMS(w)) * u

A matrix is factored only if both sides have at least 128 values; otherwise V = beta * V +
(1 - beta) * s takes the place of R and C. The matrices of an MoE layer's experts are stacked in one
tensor; moments, clipping and scale are those of each expert, so a busy expert does not change the
update of a quiet one. torch's Adafactor differs in all of these.

Shape suffixes: a leading dimension E (experts) if there are three, then rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate, Shard

from models.training.factoring import is_factored

DECAY_EXPONENT = 0.8
SQUARE_OFFSET = 1e-30
"""Added to the squared gradient."""
MIN_SCALE = 1e-3
"""Lower bound of a weight's root mean square, by which its update is multiplied."""
CLIP_THRESHOLD = 1.0
"""Root mean square above which an update is scaled down."""


class Adafactor(torch.optim.Optimizer):
    """Adafactor without momentum, relative to the scale of the weights."""

    def __init__(
        self, weights: Iterable[nn.Parameter], *, lr: float, weight_decay: float = 0.0
    ) -> None:
        """Create the optimizer; its state is created in the first step.

        Args:
            weights: vectors, matrices, or stacks of matrices; may be DTensors.
            lr: learning rate relative to the scale of each weight.
            weight_decay: decoupled; weights are multiplied by 1 - lr * weight_decay.
        """
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update the weights; closures are not supported."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    _update(weight, self.state[weight], group)


def _update(weight: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    gradient = weight.grad
    assert gradient is not None
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32)
        if is_factored(weight.shape):
            state["row_mean"] = _zero_mean(weight, -1)
            state["column_mean"] = _zero_mean(weight, -2)
        else:
            state["mean_square"] = torch.zeros_like(weight)
    state["step"] += 1
    mixing_rate = float(state["step"]) ** -DECAY_EXPONENT
    w, g = _local(weight), _local(gradient)
    square = g.square() + SQUARE_OFFSET
    if is_factored(weight.shape):
        row = _local(state["row_mean"]).lerp_(_mean(square, weight, -1), mixing_rate)
        column = _local(state["column_mean"]).lerp_(_mean(square, weight, -2), mixing_rate)
        update = g * (row / _mean(row, weight, -2)).rsqrt() * column.rsqrt()
    else:
        update = g * _local(state["mean_square"]).lerp_(square, mixing_rate).rsqrt()
    matrix_dims = tuple(range(-min(weight.dim(), 2), 0))
    update /= (_root_mean_square(update, weight, matrix_dims) / CLIP_THRESHOLD).clamp(min=1)
    scale = _root_mean_square(w, weight, matrix_dims).clamp(min=MIN_SCALE)
    if group["weight_decay"]:
        w.mul_(1 - group["lr"] * group["weight_decay"])
    w.sub_(group["lr"] * scale * update)


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _root_mean_square(values: Tensor, weight: Tensor, dims: tuple[int, ...]) -> Tensor:
    return _mean(values.square(), weight, *dims).sqrt()


def _mean(values: Tensor, weight: Tensor, *dims: int) -> Tensor:
    """Return the mean over dimensions of `weight`, which become dimensions of size 1.

    Args:
        values: this rank's part of a tensor that is sharded as `weight`, or of one of its means.
        weight: the weight.
        dims: dimensions, counted from the end.
    """
    total = values.sum(dims, keepdim=True)
    if isinstance(weight, DTensor):
        positive_dims = {dim % weight.dim() for dim in dims}
        for mesh_dim, placement in enumerate(weight.placements):
            if isinstance(placement, Shard) and placement.dim in positive_dims:
                dist.all_reduce(total, group=weight.device_mesh.get_group(mesh_dim))
    for dim in dims:
        total /= weight.shape[dim]
    return total


def _zero_mean(weight: Tensor, dim: int) -> Tensor:
    """Return zeros of the form of a mean of `weight` over `dim`, sharded in the same way."""
    zeros = torch.zeros_like(_local(weight).sum(dim, keepdim=True))
    if not isinstance(weight, DTensor):
        return zeros
    reduced_dim = dim % weight.dim()
    shape = torch.Size(1 if d == reduced_dim else n for d, n in enumerate(weight.shape))
    placements = [
        Replicate() if isinstance(p, Shard) and p.dim == reduced_dim else p
        for p in weight.placements
    ]
    return DTensor.from_local(
        zeros, weight.device_mesh, placements, run_check=False,
        shape=shape, stride=torch.empty(shape, device="meta").stride(),
    )  # fmt: skip
