"""Adafactor for weights sharded over ranks (Shazeer and Stern, arXiv 1804.04235).

On a sharded tensor, torch's own Adafactor (2.13) fails, or takes norms and means over the local
shard only. This class computes the same update with all-reduces along sharded dimensions; a test
compares it with torch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate, Shard


class ShardedAdafactor(torch.optim.Adafactor):
    """Adafactor whose parameters and state are DTensors."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update the weights; closures are not supported."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    _update(weight, weight.grad, self.state[weight], group)


def _update(
    weight: DTensor, gradient: DTensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    """Apply algorithm 4 (matrices) or 5 (vectors) of the paper; constants have torch's names."""
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32)
        if weight.dim() > 1:
            state["row_var"] = _mean_square(gradient, -1, zero=True)
            state["col_var"] = _mean_square(gradient, -2, zero=True)
        else:
            state["variance"] = torch.zeros_like(gradient)
    state["step"] += 1
    step = float(state["step"])
    lr, (eps1, eps2) = group["lr"], group["eps"]
    eps1 = torch.finfo(weight.dtype).eps if eps1 is None else eps1
    decay = step ** group["beta2_decay"]
    step_size = max(eps2, _root_mean_square(weight)) * min(lr, 1 / math.sqrt(step))
    w, g = weight.to_local(), gradient.to_local()
    if group["weight_decay"]:
        w.mul_(1 - lr * group["weight_decay"])
    if weight.dim() > 1:
        row, column = state["row_var"].to_local(), state["col_var"].to_local()
        row.lerp_(_mean_square(gradient, -1).to_local(), decay)
        column.lerp_(_mean_square(gradient, -2).to_local(), decay)
        total = _all_reduce_along(row.sum(-2, keepdim=True), weight, _positive_dim(weight, -2))
        estimate = (row @ column) / (total / weight.shape[-2]).clamp_(min=eps1)
    else:
        estimate = state["variance"].to_local().lerp_(g * g, decay).clone()
    update = estimate.clamp_(min=eps1 * eps1).rsqrt_().mul_(g)
    update_dtensor = DTensor.from_local(
        update, weight.device_mesh, weight.placements, run_check=False,
        shape=weight.shape, stride=weight.stride(),
    )  # fmt: skip
    w.add_(update, alpha=-step_size / max(1.0, _root_mean_square(update_dtensor) / group["d"]))


def _mean_square(gradient: DTensor, dim: int, *, zero: bool = False) -> DTensor:
    """Return the mean of squares along `dim`, which becomes a dimension of size 1."""
    reduced_dim = _positive_dim(gradient, dim)
    squares = gradient.to_local().square().sum(dim, keepdim=True)
    squares = (
        torch.zeros_like(squares) if zero else _all_reduce_along(squares, gradient, reduced_dim)
    )
    shape = torch.Size(1 if d == reduced_dim else n for d, n in enumerate(gradient.shape))
    placements = [
        Replicate() if isinstance(p, Shard) and p.dim == reduced_dim else p
        for p in gradient.placements
    ]
    return DTensor.from_local(
        squares / gradient.shape[dim], gradient.device_mesh, placements, run_check=False,
        shape=shape, stride=torch.empty(shape, device="meta").stride(),
    )  # fmt: skip


def _root_mean_square(tensor: DTensor) -> float:
    square = torch.linalg.vector_norm(tensor.to_local()).square()
    return math.sqrt(float(_all_reduce_along(square, tensor, None)) / tensor.numel())


def _all_reduce_along(partial_sum: Tensor, sharded: DTensor, dim: int | None) -> Tensor:
    """Sum, in place, over the ranks that shard `sharded` along `dim`; along any if None."""
    for mesh_dim, placement in enumerate(sharded.placements):
        if isinstance(placement, Shard) and dim in (None, placement.dim):
            dist.all_reduce(partial_sum, group=sharded.device_mesh.get_group(mesh_dim))
    return partial_sum


def _positive_dim(tensor: Tensor, dim: int) -> int:
    return dim % tensor.dim()
