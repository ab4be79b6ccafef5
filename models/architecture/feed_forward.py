"""The dense feed-forward layer of T5: ReLU (v1.0) or gated GELU (v1.1).

Shape suffixes: B batch, L length, M rows, D d_model, F d_ff.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from models.architecture.activation import activation, hidden, hidden_gradient
from models.architecture.dropout import Dropout
from models.architecture.matmul import linear, mm, on_plain_cpu
from models.config import ModelConfig


class FeedForward(nn.Module):
    """wo(dropout(act(wi x))) without biases; wi and wg are `[F, D]`, wo is `[D, F]`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, f = config.d_model, config.d_ff
        self.dropout = Dropout(config)
        self.init_scale = config.init_scale
        self.wi = nn.Parameter(torch.empty(f, d))
        self.wg = nn.Parameter(torch.empty(f, d)) if config.activation == "gated_gelu" else None
        self.wo = nn.Parameter(torch.empty(d, f))

    def reset_parameters(self) -> None:
        f, d = self.wi.shape
        nn.init.normal_(self.wi, std=math.sqrt(self.init_scale / d))
        if self.wg is not None:
            nn.init.normal_(self.wg, std=math.sqrt(self.init_scale / d))
        nn.init.normal_(self.wo, std=math.sqrt(self.init_scale / f))

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """Compute the layer for every token, padding included.

        Args:
            x_BLD: tokens, float `[B, L, D]`.
            valid_BL: unused; in the signature because `MoELayer` needs it.

        Returns:
            `[B, L, D]`.
        """
        has_dropout = self.training and self.dropout.probability > 0
        if torch.is_grad_enabled() and not has_dropout and on_plain_cpu(x_BLD, self.wi):
            autocast = torch.is_autocast_enabled("cpu")
            dtype = torch.get_autocast_dtype("cpu") if autocast else x_BLD.dtype
            y: Tensor = _FusedFeedForward.apply(  # type: ignore[no-untyped-call]
                x_BLD, self.wi, self.wg, self.wo, dtype
            )
            return y
        gate = None if self.wg is None else linear(x_BLD, self.wg)
        h = activation(linear(x_BLD, self.wi), gate)
        return linear(self.dropout(h), self.wo)


class _FusedFeedForward(torch.autograd.Function):
    """The layer without dropout on a CPU, with ReLU fused into the product and in-place gradients.

    Products are computed in `dtype`.
    """

    @staticmethod
    def forward(
        ctx: Any, x_BLD: Tensor, wi: Tensor, wg: Tensor | None, wo: Tensor, dtype: torch.dtype
    ) -> Tensor:
        ctx.dtypes = x_BLD.dtype, wi.dtype
        with torch.autocast("cpu", enabled=False):
            x_MD = x_BLD.reshape(-1, x_BLD.shape[-1]).to(dtype)
            wi, wo = wi.to(dtype), wo.to(dtype)
            wg = None if wg is None else wg.to(dtype)
            h_MF, intermediates = hidden(x_MD, wi.t(), None if wg is None else wg.t())
            y_BLD = mm(h_MF, wo.t()).view(x_BLD.shape)
        ctx.save_for_backward(x_MD, h_MF, wi, wg, wo, *intermediates)
        return y_BLD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BLD: Tensor) -> tuple[Tensor | None, ...]:
        x_MD, h_MF, wi, wg, wo, *intermediates = ctx.saved_tensors
        needs_x, needs_wi, needs_wg, needs_wo, _ = ctx.needs_input_grad
        dy_MD = dy_BLD.reshape(-1, dy_BLD.shape[-1])
        dx_BLD = dwi = dwg = None
        dwo = (dy_MD.t() @ h_MF).to(ctx.dtypes[1]) if needs_wo else None
        # Behind a frozen part only the products that lead to a trained weight are computed.
        if needs_x or needs_wi or needs_wg:
            da_MF, db_MF = hidden_gradient(mm(dy_MD, wo), h_MF, tuple(intermediates))
            if needs_x:
                dx_MD = mm(da_MF, wi)
                if db_MF is not None:
                    dx_MD += mm(db_MF, wg)
                dx_BLD = dx_MD.view(dy_BLD.shape).to(ctx.dtypes[0])
            if db_MF is not None and needs_wg:
                dwg = (db_MF.t() @ x_MD).to(ctx.dtypes[1])
            dwi = (da_MF.t() @ x_MD).to(ctx.dtypes[1]) if needs_wi else None
        return dx_BLD, dwi, dwg, dwo, None
