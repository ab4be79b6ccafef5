"""T5 attention: no scaling, no biases, relative position added to the scores.

Raffel et al., arXiv 1910.10683, section 2.1.
Shape suffixes: B batch, L query length, S key length, H heads, K head size, D d_model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.architecture.matmul import linear
from models.config import ModelConfig


class RelativePositionBias(nn.Module):
    """A learned score for each head and bucket of distances, shared by a whole stack."""

    def __init__(self, config: ModelConfig, *, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        self.buckets = config.relative_attention_num_buckets
        self.max_distance = config.relative_attention_max_distance
        self.weight = nn.Parameter(
            torch.empty(config.relative_attention_num_buckets, config.num_heads)
        )

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.02)

    def bucket(self, distance: Tensor) -> Tensor:
        """Bucket of each `key position - query position`: exact when near, log-wide when far."""
        buckets = self.buckets
        result = torch.zeros_like(distance)
        if self.bidirectional:
            buckets //= 2
            result = (distance > 0).long() * buckets
            distance = distance.abs()
        else:
            distance = (-distance).clamp(min=0)
        exact = buckets // 2
        log_ratio = torch.log(distance.clamp(min=1).float() / exact)
        far = exact + (log_ratio / math.log(self.max_distance / exact) * (buckets - exact)).long()
        return result + torch.where(distance < exact, distance, far.clamp(max=buckets - 1))

    def forward(self, query_L: Tensor, key_S: Tensor) -> Tensor:
        """Positions of queries and keys -> bias `[1, H, L, S]`."""
        buckets_LS = self.bucket(key_S[None, :] - query_L[:, None])
        return F.embedding(buckets_LS, self.weight).permute(2, 0, 1).unsqueeze(0)


class Attention(nn.Module):
    """Multi-head attention over `memory` (itself, or the encoder's output)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        inner = config.num_heads * config.d_kv
        self.heads, self.d_kv, self.dropout = config.num_heads, config.d_kv, config.dropout
        self.q = nn.Parameter(torch.empty(inner, config.d_model))
        self.k = nn.Parameter(torch.empty(inner, config.d_model))
        self.v = nn.Parameter(torch.empty(inner, config.d_model))
        self.o = nn.Parameter(torch.empty(config.d_model, inner))

    def reset_parameters(self) -> None:
        d = self.q.shape[1]
        # The factor 1/sqrt(d_kv) that others apply to the scores sits in q's scale.
        nn.init.normal_(self.q, std=1 / math.sqrt(d * self.d_kv))
        nn.init.normal_(self.k, std=1 / math.sqrt(d))
        nn.init.normal_(self.v, std=1 / math.sqrt(d))
        nn.init.normal_(self.o, std=1 / math.sqrt(self.heads * self.d_kv))

    def keys_values(self, memory_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Project what is attended to, once: `[B, H, S, K]` each."""
        return (
            self._split(linear(memory_BSD, self.k)),
            self._split(linear(memory_BSD, self.v)),
        )

    def forward(self, x_BLD: Tensor, kv: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        """`bias`: `[B or 1, H or 1, L, S]`, added to the scores; -inf where it is forbidden."""
        q_BHLK = self._split(linear(x_BLD, self.q))
        dropout = self.dropout if self.training else 0.0
        y_BHLK = F.scaled_dot_product_attention(
            q_BHLK, kv[0], kv[1], attn_mask=bias.to(q_BHLK.dtype), dropout_p=dropout, scale=1.0
        )
        return linear(y_BHLK.transpose(1, 2).flatten(2), self.o)

    def one(self, x_B1D: Tensor, kv: tuple[Tensor, Tensor], bias_Z1S: Tensor) -> Tensor:
        """The same for one query a row, as in decoding: two batched products.

        There is little to compute and much to read, for which they are twice as fast as the fused
        attention. `bias_Z1S`: Z = B * H. No dropout.
        """
        batch = x_B1D.shape[0]
        q_Z1K = linear(x_B1D, self.q).view(batch * self.heads, 1, self.d_kv)
        k_ZSK, v_ZSK = kv[0].flatten(0, 1), kv[1].flatten(0, 1)
        scores_Z1S = torch.baddbmm(bias_Z1S.to(q_Z1K.dtype), q_Z1K, k_ZSK.transpose(1, 2))
        y_Z1K = torch.bmm(torch.softmax(scores_Z1S, -1), v_ZSK)
        return linear(y_Z1K.view(batch, 1, -1), self.o)

    def _split(self, x_BLI: Tensor) -> Tensor:
        batch, length, _ = x_BLI.shape
        return x_BLI.view(batch, length, self.heads, self.d_kv).transpose(1, 2)
