"""Shared by all routers: weights, float32 logits and probabilities, groups and capacities.

Shape suffixes: B batch rows, L length, N valid tokens, D d_model, E experts, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.architecture.moe.routing import expert_capacity
from models.config import MoEConfig


@dataclass(frozen=True, kw_only=True)
class RouterScores:
    """Scores of the valid tokens. Padding is not included, so it takes no capacity."""

    token_N: Tensor
    """Index of each valid token in the flattened batch (int64)."""
    group_N: Tensor
    """Group of each valid token, from 0 (int64)."""
    logits_NE: Tensor
    probs_NE: Tensor
    """softmax(logits) over the experts, float32."""
    capacity_G: list[int]
    """Tokens that an expert accepts from each group."""

    def entropy(self) -> Tensor:
        """Return the mean entropy of the router's distributions.

        Returns:
            Scalar in nats, without gradient; 0 without tokens.
        """
        if self.token_N.numel() == 0:
            return torch.zeros((), device=self.token_N.device)
        log_probs_NE = torch.log_softmax(self.logits_NE.detach(), dim=-1)
        return -(log_probs_NE.exp() * log_probs_NE).sum(-1).mean()


class RouterWeights(nn.Module):
    """Router weights `[E, D]`, used in float32 (selective precision, Switch, section 2.4)."""

    def __init__(self, d_model: int, config: MoEConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.num_experts, d_model))

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.02)

    def scores(self, x_BLD: Tensor, valid_BL: Tensor) -> RouterScores:
        """Score the valid tokens and divide them into groups.

        Args:
            x_BLD: tokens, float `[B, L, D]`.
            valid_BL: bool `[B, L]`, False for padding.
        """
        moe = self.config
        token_N = torch.nonzero(valid_BL.flatten()).squeeze(-1)
        with torch.autocast(x_BLD.device.type, enabled=False):
            h_ND = x_BLD.flatten(0, 1).float()
            if token_N.numel() < len(h_ND):
                h_ND = h_ND[token_N]
            if self.training and moe.jitter:
                # Only the router's input is multiplied by noise, not that of the experts.
                h_ND = h_ND * torch.empty_like(h_ND).uniform_(1 - moe.jitter, 1 + moe.jitter)
            logits_NE = h_ND @ self.weight.float().t()
            probs_NE = torch.softmax(logits_NE, dim=-1)
        rows, length = valid_BL.shape
        group_rows = min(moe.group_rows or rows, rows) or 1
        groups = -(-rows // group_rows)
        group_N = token_N // (length * group_rows) if groups > 1 else torch.zeros_like(token_N)
        group_sizes = (
            torch.bincount(group_N, minlength=groups).tolist() if groups > 1 else [token_N.numel()]
        )
        factor = moe.capacity_factor_train if self.training else moe.capacity_factor_eval
        return RouterScores(
            token_N=token_N,
            group_N=group_N,
            logits_NE=logits_NE,
            probs_NE=probs_NE,
            capacity_G=[
                expert_capacity(size, moe.num_experts, moe.top_k, factor, moe.min_capacity)
                for size in group_sizes
            ],
        )
