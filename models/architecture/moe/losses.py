"""Auxiliary losses of a router, as published. Shape suffixes: T tokens, E experts."""

from __future__ import annotations

import torch
from torch import Tensor


def load_balance_loss(
    counts_E: Tensor, mean_probs_E: Tensor, *, choices_per_token: int = 1
) -> Tensor:
    """Compute the load-balancing loss (Switch Transformers, arXiv 2101.03961, eq. 4).

        E * sum_i f_i * P_i
        f_i = fraction of tokens that chose expert i
        P_i = mean router probability of expert i

    Args:
        counts_E: tokens per expert before capacity, int64 `[E]`: by first choice (GShard, Switch)
            or by all choices (flaxformer).
        mean_probs_E: mean router probability per expert, float `[E]`; carries the gradient.
        choices_per_token: choices of each token that `counts_E` counts.

    Returns:
        Scalar without its weight: `choices_per_token` when balanced, 0 without tokens.
    """
    counts = counts_E.to(mean_probs_E.dtype)
    fraction_E = counts * choices_per_token / counts_E.sum().clamp(min=1)
    return len(mean_probs_E) * (fraction_E * mean_probs_E).sum()


def router_z_loss(logits_TE: Tensor) -> Tensor:
    """Compute the router z-loss (ST-MoE, arXiv 2202.08906, eq. 5).

        mean over tokens of (log sum_i exp(logit_i))^2

    Args:
        logits_TE: router logits, float `[T, E]`.

    Returns:
        Scalar without its weight; 0 without tokens.
    """
    if logits_TE.shape[0] == 0:
        return logits_TE.sum()
    return torch.logsumexp(logits_TE, dim=-1).square().mean()
