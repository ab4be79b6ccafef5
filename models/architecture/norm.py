"""RMSNorm (Zhang and Sennrich, arXiv 1910.07467): T5's layer norm, computed in float32.

Shape suffixes: M rows, D d_model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

EPSILON = 1e-6


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + 1e-6) * weight, over the last dimension."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(d_model))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last dimension.

        Args:
            x: float `[..., D]`.

        Returns:
            The same shape and dtype as `x`.
        """
        weight = self.weight.float()
        if not torch.is_grad_enabled() or type(self.weight) is not nn.Parameter:
            normed: Tensor = F.rms_norm(x.float(), weight.shape, weight, EPSILON)
            return normed.to(x.dtype)
        y: Tensor = _RMSNorm.apply(x.float(), weight)  # type: ignore[no-untyped-call]
        return y.to(x.dtype)


class _RMSNorm(torch.autograd.Function):
    """RMSNorm that writes fewer arrays of x's size in a training step than `F.rms_norm`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor) -> Tensor:
        width = x.shape[-1]
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = norm.square_().mul_(1 / width).add_(EPSILON).rsqrt_()
        ctx.save_for_backward(x, scale, weight_D)
        y: Tensor = x * scale
        return y.mul_(weight_D)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor | None]:
        x, scale, weight_D = ctx.saved_tensors
        width = x.shape[-1]
        product_MD = (dy * x).view(-1, width)
        dweight_D = scale.view(-1) @ product_MD if ctx.needs_input_grad[1] else None
        dot = (product_MD @ weight_D).view_as(scale).mul_(scale.pow(3)).mul_(1 / width)
        dx = (dy * weight_D).mul_(scale).addcmul_(x, dot, value=-1)
        return dx, dweight_D
