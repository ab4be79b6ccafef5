"""The experts of one layer, stacked: `[E, D, F]`, so a state dict never names a process.

Shape suffixes: T tokens, A assignments sorted by expert, E experts, D d_model, F d_ff.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.architecture.moe.expert_gemm import grouped, looped
from models.config import ModelConfig


class Experts(nn.Module):
    """E feed-forward networks of the kind the dense twin has one of.

    With experts spread over processes the three tensors are sharded along E (DTensor), and this
    process computes its own experts only.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.moe is not None
        e, d, f = config.moe.num_experts, config.d_model, config.d_ff
        self.dropout = config.moe.expert_dropout
        self.wi_EDF = nn.Parameter(torch.empty(e, d, f))
        gated = config.activation == "gated_gelu"
        self.wg_EDF = nn.Parameter(torch.empty(e, d, f)) if gated else None
        self.wo_EFD = nn.Parameter(torch.empty(e, f, d))

    def reset_parameters(self) -> None:
        """T5 v1.1's scale for a feed-forward layer: N(0, 1/sqrt(fan in))."""
        d, f = self.wi_EDF.shape[1:]
        nn.init.normal_(self.wi_EDF, std=1 / math.sqrt(d))
        if self.wg_EDF is not None:
            nn.init.normal_(self.wg_EDF, std=1 / math.sqrt(d))
        nn.init.normal_(self.wo_EFD, std=1 / math.sqrt(f))

    def weights(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """wi, wg, wo of the experts that this process holds."""
        wi, wg, wo = self.wi_EDF, self.wg_EDF, self.wo_EFD
        return local(wi), None if wg is None else local(wg), local(wo)

    def forward(
        self, x_TD: Tensor, token_A: Tensor, rows_E: Tensor, weight_A: Tensor | None
    ) -> Tensor:
        """y_t = sum over the assignments a of t of weight_a * expert_a(x_t), `[T, D]`.

        `token_A` is sorted by expert, `rows_E` of its entries for each; `weight_A=None` is 1.
        """
        device = x_TD.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else x_TD.dtype
        wi, wg, wo = self.weights()
        dropout = self.dropout if self.training else 0.0
        if device == "cuda" and dtype == torch.bfloat16:
            return grouped(
                x_TD, token_A, rows_E, weight_A, wi, wg, wo, dropout=dropout, dtype=dtype
            )
        rows: list[int] = rows_E.tolist()
        return looped(x_TD, token_A, rows, weight_A, wi, wg, wo, dropout=dropout, dtype=dtype)


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor, sharded or not, that this process holds."""
    held: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return held
