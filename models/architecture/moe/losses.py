"""Auxiliary losses of a router, as published. Shape suffixes: T tokens, E experts."""

from __future__ import annotations

import torch
from torch import Tensor


def balance_loss(first_E: Tensor, probs_E: Tensor) -> Tensor:
    """E * sum_i f_i * P_i (Switch, arXiv 2101.03961, eq. 4), without its weight.

    f_i: share of tokens whose first choice is expert i, from their number `first_E`; P_i: mean
    probability of expert i, `probs_E`. 1 at a perfectly even load. 0 where there is no token.
    """
    share_E = first_E.to(probs_E.dtype) / first_E.sum().clamp(min=1)
    return len(probs_E) * (share_E * probs_E).sum()


def router_z_loss(logits_TE: Tensor) -> Tensor:
    """Mean of (log sum exp of a token's logits)^2 (ST-MoE, arXiv 2202.08906, eq. 5)."""
    if logits_TE.shape[0] == 0:
        return logits_TE.sum()
    return torch.logsumexp(logits_TE, dim=-1).square().mean()
