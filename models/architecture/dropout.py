"""Dropout with an independent mask for each position, or one mask for all positions of a row.

Shape suffixes: B batch, L length, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import ModelConfig


class Dropout(nn.Module):
    """Dropout of the hidden states."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.probability = config.dropout
        self.is_shared_along_length = config.dropout_shared_along_length

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Zero values with the configured probability and scale the rest, in training only.

        Args:
            x_BLD: hidden states, float `[B, L, D]`.
        """
        if not self.training or self.probability == 0:
            return x_BLD
        if not self.is_shared_along_length:
            return F.dropout(x_BLD, self.probability)
        # One mask for all positions of a row (flaxformer's broadcast_dims).
        return x_BLD * F.dropout(torch.ones_like(x_BLD[:, :1]), self.probability)
