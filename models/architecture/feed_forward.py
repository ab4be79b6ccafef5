"""The dense feed-forward layer of T5: ReLU (v1.0) or gated GELU (v1.1).

Shape suffixes: B batch, L length, M rows, D d_model, F d_ff.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from models.architecture.matmul import linear, mm, uses_one_dnn
from models.config import ModelConfig


class FeedForward(nn.Module):
    """wo(dropout(act(wi x))), no biases. Weights `[d_ff, d_model]` and `[d_model, d_ff]`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, f = config.d_model, config.d_ff
        self.dropout = config.dropout
        self.wi = nn.Parameter(torch.empty(f, d))
        self.wg = nn.Parameter(torch.empty(f, d)) if config.activation == "gated_gelu" else None
        self.wo = nn.Parameter(torch.empty(d, f))

    def reset_parameters(self) -> None:
        f, d = self.wi.shape
        nn.init.normal_(self.wi, std=1 / math.sqrt(d))
        if self.wg is not None:
            nn.init.normal_(self.wg, std=1 / math.sqrt(d))
        nn.init.normal_(self.wo, std=1 / math.sqrt(f))

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """`valid_BL` is not used: padding costs a dense layer nothing but time."""
        dropout = self.dropout if self.training else 0.0
        if self.wg is not None:
            h = F.gelu(linear(x_BLD, self.wi), approximate="tanh") * linear(x_BLD, self.wg)
        elif dropout == 0.0 and uses_one_dnn(x_BLD, self.wi):
            if not torch.is_grad_enabled():
                return linear(mm(x_BLD.flatten(0, 1), self.wi.t(), relu=True), self.wo).view_as(
                    x_BLD
                )
            y: Tensor = _ReLU.apply(x_BLD, self.wi, self.wo)  # type: ignore[no-untyped-call]
            return y
        else:
            h = F.relu(linear(x_BLD, self.wi))
        return linear(F.dropout(h, dropout, training=dropout > 0), self.wo)


class _ReLU(torch.autograd.Function):
    """wo(relu(wi x)), with ReLU inside the product, and its gradient written over its input."""

    @staticmethod
    def forward(ctx: Any, x_BLD: Tensor, wi: Tensor, wo: Tensor) -> Tensor:
        x_MD = x_BLD.reshape(-1, x_BLD.shape[-1])
        h_MF = mm(x_MD, wi.t(), relu=True)
        ctx.save_for_backward(x_MD, h_MF, wi, wo)
        return mm(h_MF, wo.t()).view_as(x_BLD)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BLD: Tensor) -> tuple[Tensor | None, ...]:
        x_MD, h_MF, wi, wo = ctx.saved_tensors
        dy_MD = dy_BLD.reshape(-1, dy_BLD.shape[-1])
        dwo = dy_MD.t() @ h_MF if ctx.needs_input_grad[2] else None
        dh_MF = mm(dy_MD, wo)
        torch.ops.aten.threshold_backward.grad_input(dh_MF, h_MF, 0, grad_input=dh_MF)
        dwi = dh_MF.t() @ x_MD if ctx.needs_input_grad[1] else None
        return mm(dh_MF, wi).view_as(dy_BLD), dwi, dwo
