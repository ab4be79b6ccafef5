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
        autocast = torch.is_autocast_enabled("cpu")
        fits = (autocast or uses_one_dnn(x_BLD, self.wi)) and _plain(x_BLD, self.wi)
        if torch.is_grad_enabled() and dropout == 0.0 and fits:
            dtype = torch.get_autocast_dtype("cpu") if autocast else x_BLD.dtype
            y: Tensor = _Fused.apply(  # type: ignore[no-untyped-call]
                x_BLD, self.wi, self.wg, self.wo, dtype
            )
            return y
        h = linear(x_BLD, self.wi)
        if self.wg is None:
            h = F.relu(h, inplace=not h.requires_grad)
        else:
            h = F.gelu(h, approximate="tanh") * linear(x_BLD, self.wg)
        return linear(F.dropout(h, dropout, training=dropout > 0), self.wo)


def _plain(x: Tensor, weight: Tensor) -> bool:
    return x.device.type == "cpu" and type(weight) in (Tensor, nn.Parameter)


class _Fused(torch.autograd.Function):
    """The layer without dropout on a CPU, products in `dtype`: ReLU inside the product, gradients
    written over what they are made of."""

    @staticmethod
    def forward(
        ctx: Any, x_BLD: Tensor, wi: Tensor, wg: Tensor | None, wo: Tensor, dtype: torch.dtype
    ) -> Tensor:
        ctx.dtypes = x_BLD.dtype, wi.dtype
        with torch.autocast("cpu", enabled=False):
            x_MD = x_BLD.reshape(-1, x_BLD.shape[-1]).to(dtype)
            wi, wo = wi.to(dtype), wo.to(dtype)
            h_MF = mm(x_MD, wi.t(), relu=wg is None)
            a_MF = gelu_MF = b_MF = None
            if wg is not None:
                wg = wg.to(dtype)
                a_MF, gelu_MF = h_MF, F.gelu(h_MF, approximate="tanh")
                b_MF = mm(x_MD, wg.t())
                h_MF = gelu_MF * b_MF
            y_BLD = mm(h_MF, wo.t()).view(x_BLD.shape)
        ctx.save_for_backward(x_MD, a_MF, gelu_MF, b_MF, h_MF, wi, wg, wo)
        return y_BLD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BLD: Tensor) -> tuple[Tensor | None, ...]:
        x_MD, a_MF, gelu_MF, b_MF, h_MF, wi, wg, wo = ctx.saved_tensors
        _, needs_wi, needs_wg, needs_wo, _ = ctx.needs_input_grad
        dy_MD = dy_BLD.reshape(-1, dy_BLD.shape[-1])
        dwo = (dy_MD.t() @ h_MF).to(ctx.dtypes[1]) if needs_wo else None
        dh_MF = mm(dy_MD, wo)
        if wg is None:
            torch.ops.aten.threshold_backward.grad_input(dh_MF, h_MF, 0, grad_input=dh_MF)
            dx_MD, dwg = mm(dh_MF, wi), None
        else:
            db_MF = dh_MF * gelu_MF
            dh_MF *= b_MF
            torch.ops.aten.gelu_backward.grad_input(
                dh_MF, a_MF, approximate="tanh", grad_input=dh_MF
            )
            dx_MD = mm(dh_MF, wi)
            dx_MD += mm(db_MF, wg)
            dwg = (db_MF.t() @ x_MD).to(ctx.dtypes[1]) if needs_wg else None
        dwi = (dh_MF.t() @ x_MD).to(ctx.dtypes[1]) if needs_wi else None
        return dx_MD.view(dy_BLD.shape).to(ctx.dtypes[0]), dwi, dwg, dwo, None
