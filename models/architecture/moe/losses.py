"""Auxiliary losses of a router, as published. Shape suffixes: T tokens, E experts."""

from __future__ import annotations

import torch
from torch import Tensor


def balance_loss(probs_TE: Tensor, first_choice_T: Tensor) -> Tensor:
    """E * sum_i f_i * P_i (Switch, arXiv 2101.03961, eq. 4), without its weight.

    f_i: share of tokens whose first choice is expert i; P_i: mean probability of expert i.
    1 at a perfectly even load. 0 where there is no token.
    """
    tokens, num_experts = probs_TE.shape
    if tokens == 0:
        return probs_TE.sum()
    share_E = torch.bincount(first_choice_T, minlength=num_experts).to(probs_TE.dtype) / tokens
    return num_experts * (share_E * probs_TE.mean(0)).sum()


def router_z_loss(logits_TE: Tensor) -> Tensor:
    """Mean of (log sum exp of a token's logits)^2 (ST-MoE, arXiv 2202.08906, eq. 5)."""
    if logits_TE.shape[0] == 0:
        return logits_TE.sum()
    return torch.logsumexp(logits_TE, dim=-1).square().mean()
