"""Adafactor for weights that are spread over processes (Shazeer and Stern, arXiv 1804.04235).

torch's own takes norms and means over what one process holds, or fails, on a sharded tensor (torch
2.13). This is the same update with sums over all processes where a sum runs along a sharded
dimension; it is tested against torch's on one process.
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
    """Parameters are DTensors; so is the state, and distributed checkpoints fit any number."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Without a closure."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    _update(weight, weight.grad, self.state[weight], group)


def _update(
    weight: DTensor, gradient: DTensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    """Algorithm 5 of the paper, with its constants named as torch's."""
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32)
        if weight.dim() > 1:
            state["row_var"] = _reduced(gradient, -1, zero=True)
            state["col_var"] = _reduced(gradient, -2, zero=True)
        else:
            state["variance"] = torch.zeros_like(gradient)
    state["step"] += 1
    step = float(state["step"])
    lr, (eps1, eps2) = group["lr"], group["eps"]
    eps1 = torch.finfo(weight.dtype).eps if eps1 is None else eps1
    decay = step ** group["beta2_decay"]
    rate = max(eps2, _root_mean_square(weight)) * min(lr, 1 / math.sqrt(step))
    w, g = weight.to_local(), gradient.to_local()
    if group["weight_decay"]:
        w.mul_(1 - lr * group["weight_decay"])
    if weight.dim() > 1:
        row, column = state["row_var"].to_local(), state["col_var"].to_local()
        row.lerp_(_reduced(gradient, -1).to_local(), decay)
        column.lerp_(_reduced(gradient, -2).to_local(), decay)
        total = _sum_over(row.sum(-2, keepdim=True), weight, _dimension(weight, -2))
        estimate = (row @ column) / (total / weight.shape[-2]).clamp_(min=eps1)
    else:
        estimate = state["variance"].to_local().lerp_(g * g, decay).clone()
    update = estimate.clamp_(min=eps1 * eps1).rsqrt_().mul_(g)
    change = DTensor.from_local(
        update, weight.device_mesh, weight.placements, run_check=False,
        shape=weight.shape, stride=weight.stride(),
    )  # fmt: skip
    w.add_(update, alpha=-rate / max(1.0, _root_mean_square(change) / group["d"]))


def _reduced(gradient: DTensor, dim: int, *, zero: bool = False) -> DTensor:
    """Mean of squares along `dim`, kept as a dimension of 1."""
    along = _dimension(gradient, dim)
    squares = gradient.to_local().square().sum(dim, keepdim=True)
    squares = torch.zeros_like(squares) if zero else _sum_over(squares, gradient, along)
    shape = torch.Size(1 if d == along else n for d, n in enumerate(gradient.shape))
    placements = [
        Replicate() if isinstance(p, Shard) and p.dim == along else p for p in gradient.placements
    ]
    return DTensor.from_local(
        squares / gradient.shape[dim], gradient.device_mesh, placements, run_check=False,
        shape=shape, stride=torch.empty(shape, device="meta").stride(),
    )  # fmt: skip


def _root_mean_square(tensor: DTensor) -> float:
    square = torch.linalg.vector_norm(tensor.to_local()).square()
    return math.sqrt(float(_sum_over(square, tensor, None)) / tensor.numel())


def _sum_over(part: Tensor, of: DTensor, dim: int | None) -> Tensor:
    """Sum over the processes that `of` is spread over along `dim`; None: along any."""
    for number, placement in enumerate(of.placements):
        if isinstance(placement, Shard) and dim in (None, placement.dim):
            dist.all_reduce(part, group=of.device_mesh.get_group(number))
    return part


def _dimension(tensor: Tensor, dim: int) -> int:
    return dim % tensor.dim()
