"""T5 attention: no scaling, no biases, a relative position bias added to the scores.

Raffel et al., arXiv 1910.10683, section 2.1.
Shape suffixes: B batch, L query length, S key length, H heads, K head size, D d_model,
I = H * K, Z = B * H.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.architecture.matmul import linear
from models.config import ModelConfig


class RelativePositionBias(nn.Module):
    """Relative position bias: a learned score per head and distance bucket, shared by a stack."""

    def __init__(self, config: ModelConfig, *, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        self.init_scale = config.init_scale
        self.buckets = config.relative_attention_num_buckets
        self.max_distance = config.relative_attention_max_distance
        self.weight = nn.Parameter(
            torch.empty(config.relative_attention_num_buckets, config.num_heads)
        )

    def reset_parameters(self) -> None:
        """Draw uniform weights of variance init_scale / ((buckets + heads) / 2), as T5X does."""
        bound = math.sqrt(3 * self.init_scale / (sum(self.weight.shape) / 2))
        nn.init.uniform_(self.weight, -bound, bound)

    def bucket(self, distance: Tensor) -> Tensor:
        """Map distances to buckets: one per distance if short, logarithmic if long.

        Args:
            distance: key position - query position, int64, any shape.

        Returns:
            Bucket indices, the same shape.
        """
        buckets = self.buckets
        offset = torch.zeros_like(distance)
        if self.bidirectional:
            buckets //= 2
            offset = (distance > 0).long() * buckets
            distance = distance.abs()
        else:
            distance = (-distance).clamp(min=0)
        exact = buckets // 2
        log_ratio = torch.log(distance.clamp(min=1).float() / exact)
        log_bucket = (
            exact + (log_ratio / math.log(self.max_distance / exact) * (buckets - exact)).long()
        )
        return offset + torch.where(distance < exact, distance, log_bucket.clamp(max=buckets - 1))

    def forward(self, query_L: Tensor, key_S: Tensor) -> Tensor:
        """Compute the bias of attention scores.

        Args:
            query_L: positions of the queries, int64 `[L]`.
            key_S: positions of the keys, int64 `[S]`.

        Returns:
            `[1, H, L, S]`, contiguous.
        """
        buckets_LS = self.bucket(key_S[None, :] - query_L[:, None])
        bias_HLS = F.embedding(buckets_LS, self.weight).permute(2, 0, 1)
        # Fused attention on a GPU falls back to the slow math kernel for any other layout.
        return bias_HLS.contiguous().unsqueeze(0)


class Attention(nn.Module):
    """Multi-head self-attention or cross-attention."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        inner = config.num_heads * config.d_kv
        self.heads, self.d_kv, self.dropout = config.num_heads, config.d_kv, config.dropout
        self.init_scale = config.init_scale
        self.q = nn.Parameter(torch.empty(inner, config.d_model))
        self.k = nn.Parameter(torch.empty(inner, config.d_model))
        self.v = nn.Parameter(torch.empty(inner, config.d_model))
        self.o = nn.Parameter(torch.empty(config.d_model, inner))

    def reset_parameters(self) -> None:
        std = math.sqrt(self.init_scale / self.q.shape[1])
        # The usual factor 1/sqrt(d_kv) of the scores is part of q's initialization.
        nn.init.normal_(self.q, std=std / math.sqrt(self.d_kv))
        nn.init.normal_(self.k, std=std)
        nn.init.normal_(self.v, std=std)
        nn.init.normal_(self.o, std=math.sqrt(self.init_scale / (self.heads * self.d_kv)))

    def keys_values(self, memory_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Project keys and values.

        Args:
            memory_BSD: the tokens that are attended to, float `[B, S, D]`.

        Returns:
            Keys and values, `[B, H, S, K]` each.
        """
        return (
            self._split(linear(memory_BSD, self.k)),
            self._split(linear(memory_BSD, self.v)),
        )

    def forward(self, x_BLD: Tensor, kv: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        """Attend from L queries to S keys.

        Args:
            x_BLD: queries before projection, float `[B, L, D]`.
            kv: keys and values, `[B, H, S, K]` each.
            bias: added to the scores, `[B or 1, H or 1, L, S]`; -inf masks a key.

        Returns:
            `[B, L, D]`.
        """
        q_BHLK = self._split(linear(x_BLD, self.q))
        dropout = self.dropout if self.training else 0.0
        y_BHLK = F.scaled_dot_product_attention(
            q_BHLK, kv[0], kv[1], attn_mask=bias.to(q_BHLK.dtype), dropout_p=dropout, scale=1.0
        )
        return linear(y_BHLK.transpose(1, 2).flatten(2), self.o)

    def decode_step(self, x_B1D: Tensor, kv: tuple[Tensor, Tensor], bias_Z1S: Tensor) -> Tensor:
        """Attend from a single query per row, without dropout, as in incremental decoding.

        Uses two batched products, which are faster than fused attention for a single query
        (docs/decisions/onednn_on_cpu.md).

        Args:
            x_B1D: query before projection, float `[B, 1, D]`.
            kv: keys and values, `[B, H, S, K]` each.
            bias_Z1S: added to the scores; -inf masks a key.

        Returns:
            `[B, 1, D]`.
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
