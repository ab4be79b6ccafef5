"""The dense feed-forward layer of T5: ReLU (v1.0) or gated GELU (v1.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
        if self.wg is None:
            h = F.relu(F.linear(x_BLD, self.wi))
        else:
            h = F.gelu(F.linear(x_BLD, self.wi), approximate="tanh") * F.linear(x_BLD, self.wg)
        return F.linear(F.dropout(h, self.dropout, self.training), self.wo)
