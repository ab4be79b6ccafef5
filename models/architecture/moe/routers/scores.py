"""Shared by all routers: weights, float32 logits and probabilities, groups and capacities.

Shape suffixes: B batch rows, L length, N valid tokens, D d_model, E experts, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.architecture.moe.capacity import expert_capacity
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
        group_N, group_sizes = self._groups(token_N, valid_BL)
        return RouterScores(
            token_N=token_N,
            group_N=group_N,
            logits_NE=logits_NE,
            probs_NE=probs_NE,
            capacity_G=[expert_capacity(size, moe, training=self.training) for size in group_sizes],
        )

    def _groups(self, token_N: Tensor, valid_BL: Tensor) -> tuple[Tensor, list[int]]:
        """Divide the positions of a batch into groups of equal size.

        As in flaxformer, there are as few groups as `group_tokens` permits.

        Returns:
            Group of each valid token, int64 `[N]`, and the number of valid tokens of each group.
        """
        rows, length = valid_BL.shape
        positions = max(rows * length, 1)
        largest = self.config.group_tokens or positions
        if self.config.group_rows is not None:
            largest = max(length * self.config.group_rows, 1)
        num_groups = -(-positions // largest)
        if num_groups == 1:
            return torch.zeros_like(token_N), [token_N.numel()]
        # Groups of rows are of `group_rows` rows; the last one may be smaller.
        size = largest if self.config.group_rows is not None else -(-positions // num_groups)
        group_N = token_N // size
        return group_N, torch.bincount(group_N, minlength=num_groups).tolist()
