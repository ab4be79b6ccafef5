"""The experts of one layer, stacked: `[E, D, F]`, so a state dict never names a process.

Shape suffixes: E experts, D d_model, F d_ff, A rows sorted by expert.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import ModelConfig


class Experts(nn.Module):
    """E feed-forward networks of the kind the dense twin has one of."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.moe is not None
        e, d, f = config.moe.num_experts, config.d_model, config.d_ff
        self.gated = config.activation == "gated_gelu"
        self.dropout = config.moe.expert_dropout
        self.wi_EDF = nn.Parameter(torch.empty(e, d, f))
        self.wg_EDF = nn.Parameter(torch.empty(e, d, f)) if self.gated else None
        self.wo_EFD = nn.Parameter(torch.empty(e, f, d))

    def reset_parameters(self) -> None:
        """T5 v1.1's scale for a feed-forward layer: N(0, 1/sqrt(fan in))."""
        d, f = self.wi_EDF.shape[1:]
        nn.init.normal_(self.wi_EDF, std=1 / math.sqrt(d))
        if self.wg_EDF is not None:
            nn.init.normal_(self.wg_EDF, std=1 / math.sqrt(d))
        nn.init.normal_(self.wo_EFD, std=1 / math.sqrt(f))

    def forward(self, x_AD: Tensor, rows_per_expert_E: Tensor) -> Tensor:
        """`x_AD`: rows sorted by expert. Returns the experts' outputs `[A, D]`.

        One matrix product for each expert that has rows: on a CPU this beats padding to
        capacity and a grouped product, and experts without rows cost nothing.
        """
        rows: list[int] = rows_per_expert_E.tolist()
        # unbind, not indexing: its backward stacks the E gradients once instead of adding
        # E tensors that are zero but for one expert.
        wi, wo = self.wi_EDF.unbind(0), self.wo_EFD.unbind(0)
        wg = self.wg_EDF.unbind(0) if self.wg_EDF is not None else None
        outputs = []
        for expert, x in enumerate(x_AD.split(rows)):
            if rows[expert] == 0:
                continue
            if wg is None:
                h = F.relu(x @ wi[expert])
            else:
                h = F.gelu(x @ wi[expert], approximate="tanh") * (x @ wg[expert])
            h = F.dropout(h, self.dropout, self.training)
            outputs.append(h @ wo[expert])
        return torch.cat(outputs) if outputs else x_AD
