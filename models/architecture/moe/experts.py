"""The experts of an MoE layer as stacked tensors: wi and wg `[E, D, F]`, wo `[E, F, D]`.

Names and global shapes do not depend on the number of ranks.

Shape suffixes: T tokens, A assignments sorted by expert, E experts, D d_model, F d_ff.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.architecture.moe.expert_gemm import experts_grouped_mm, experts_loop
from models.config import ModelConfig


class Experts(nn.Module):
    """E feed-forward networks of the shape of the dense feed-forward layer.

    With expert parallelism the three tensors are DTensors sharded along E, and each rank computes
    its own experts only.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.moe is not None
        e, d, f = config.moe.num_experts, config.d_model, config.d_ff
        self.dropout = config.moe.expert_dropout
        self.init_scale = config.init_scale
        self.wi_EDF = nn.Parameter(torch.empty(e, d, f))
        gated = config.activation == "gated_gelu"
        self.wg_EDF = nn.Parameter(torch.empty(e, d, f)) if gated else None
        self.wo_EFD = nn.Parameter(torch.empty(e, f, d))

    def reset_parameters(self) -> None:
        """Draw weights with standard deviation sqrt(init_scale / fan-in), as in a dense layer."""
        d, f = self.wi_EDF.shape[1:]
        nn.init.normal_(self.wi_EDF, std=math.sqrt(self.init_scale / d))
        if self.wg_EDF is not None:
            nn.init.normal_(self.wg_EDF, std=math.sqrt(self.init_scale / d))
        nn.init.normal_(self.wo_EFD, std=math.sqrt(self.init_scale / f))

    def local_weights(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return wi, wg and wo of this rank's experts."""
        wi, wg, wo = self.wi_EDF, self.wg_EDF, self.wo_EFD
        return local_shard(wi), None if wg is None else local_shard(wg), local_shard(wo)

    def forward(
        self, x_TD: Tensor, token_A: Tensor, tokens_per_expert_E: Tensor, weight_A: Tensor | None
    ) -> Tensor:
        """Compute y_t = sum over the assignments a of token t of weight_a * expert_a(x_t).

        Args:
            x_TD: tokens, float `[T, D]`.
            token_A: token of each assignment, int64 `[A]`, sorted by expert.
            tokens_per_expert_E: assignments of each of this rank's experts, int64 `[E]`.
            weight_A: weight of each assignment, float `[A]`; None: 1.

        Returns:
            `[T, D]`, in autocast's dtype if it is enabled; 0 for tokens without assignments.
        """
        device = x_TD.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else x_TD.dtype
        weights = self.local_weights()
        dropout = self.dropout if self.training else 0.0
        if device == "cuda" and dtype == torch.bfloat16:
            return experts_grouped_mm(
                x_TD, token_A, tokens_per_expert_E, weight_A, *weights, dropout=dropout, dtype=dtype
            )
        counts: list[int] = tokens_per_expert_E.tolist()
        return experts_loop(x_TD, token_A, counts, weight_A, *weights, dropout=dropout, dtype=dtype)


def local_shard(tensor: Tensor) -> Tensor:
    """Return this rank's part of a sharded tensor.

    Args:
        tensor: a DTensor, or a plain tensor, which is returned as it is.
    """
    shard: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return shard
