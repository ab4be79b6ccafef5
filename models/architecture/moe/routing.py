"""The output of a router: which token goes to which expert, with which weight, and load statistics.

Every router returns a `Routing`; every dispatch backend consumes one.

Shape suffixes: T tokens, N valid tokens, E experts, K choices, G groups, A assignments (token to
expert).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.architecture.moe.losses import load_balance_loss


@dataclass(frozen=True, kw_only=True)
class LoadStatistics:
    """Expert load of one layer on one batch."""

    requested_per_expert_E: Tensor
    """Assignments per expert before tokens are dropped (int64)."""
    num_dropped: Tensor
    """Assignments dropped because the expert was full; with expert choice, tokens that no expert
    chose (int64 scalar)."""
    num_requested: Tensor
    """Assignments before dropping, valid tokens times top_k; with expert choice, valid tokens
    (int64 scalar)."""
    entropy: Tensor
    """Mean entropy of the router's distribution, in nats (float scalar)."""


@dataclass(frozen=True, kw_only=True)
class Routing:
    """A list of assignments, sorted by expert and by position in the expert."""

    token_A: Tensor
    """Token of each assignment, an index into the flattened batch (int64)."""
    expert_A: Tensor
    """Expert of each assignment (int64)."""
    position_in_expert_A: Tensor
    """Position of the token among those of its expert: 0, 1, ... without gaps (int64)."""
    weight_A: Tensor
    """Gate by which the expert's output is multiplied (float); carries the router's gradient."""
    tokens_per_expert_E: Tensor
    """Assignments per expert, after tokens were dropped (int64)."""
    balance_counts_E: Tensor
    """Valid tokens per expert before tokens are dropped, by the choices that the load-balancing
    loss counts (int64)."""
    balance_choices: int
    """Choices per token in `balance_counts_E`: 1 or top_k."""
    mean_probs_E: Tensor
    """Mean probability per expert over the valid tokens; carries the router's gradient."""
    z_loss: Tensor
    """Router z-loss, a mean over the valid tokens, without its weight."""
    load: LoadStatistics

    @property
    def load_balance_loss(self) -> Tensor:
        """Load-balancing loss of these tokens, without its weight."""
        return load_balance_loss(
            self.balance_counts_E, self.mean_probs_E, choices_per_token=self.balance_choices
        )


@dataclass(frozen=True, kw_only=True)
class Assignments:
    """Assignments in any order: the part of a `Routing` in which routers differ."""

    token_A: Tensor
    expert_A: Tensor
    weight_A: Tensor


def positions_in_expert(expert_A: Tensor, num_experts: int) -> Tensor:
    """Number the assignments of each expert in list order: `[0, 1, 0, 0] -> [0, 0, 1, 2]`.

    Args:
        expert_A: expert of each assignment, int64 `[A]`, in any order.
        num_experts: E.

    Returns:
        Position of each assignment among those of the same expert, int64 `[A]`.
    """
    order_A = torch.argsort(expert_A, stable=True)
    counts_E = torch.bincount(expert_A, minlength=num_experts)
    starts_E = torch.cumsum(counts_E, 0) - counts_E
    position_A = torch.empty_like(expert_A)
    ranks_A = torch.arange(expert_A.numel(), device=expert_A.device)
    position_A[order_A] = ranks_A - starts_E[expert_A[order_A]]
    return position_A


def drop_overflow(
    expert_A: Tensor, group_A: Tensor, capacity_G: list[int], num_experts: int
) -> Tensor:
    """Drop the assignments beyond an expert's capacity; earlier ones take precedence.

    Args:
        expert_A: expert of each assignment, int64 `[A]`, in order of precedence.
        group_A: group of each assignment's token, int64 `[A]`.
        capacity_G: capacity of an expert in each group.
        num_experts: E.

    Returns:
        Indices of the retained assignments, in list order, int64.
    """
    group_expert_A = group_A * num_experts + expert_A
    position_A = positions_in_expert(group_expert_A, num_experts * len(capacity_G))
    capacity_A = torch.tensor(capacity_G, device=expert_A.device)[group_A]
    return torch.nonzero(position_A < capacity_A).squeeze(-1)


def build_routing(
    assignments: Assignments,
    *,
    probs_NE: Tensor,
    balance_choice_NC: Tensor,
    z_loss: Tensor,
    load: LoadStatistics,
) -> Routing:
    """Sort assignments by expert and complete them to a `Routing`.

    Args:
        assignments: those that remain after dropping.
        probs_NE: router probabilities of the valid tokens, float `[N, E]`.
        balance_choice_NC: choices of each valid token that the load-balancing loss counts, int64
            `[N, C]`.
        z_loss: router z-loss, scalar.
        load: load statistics of these tokens.
    """
    num_experts = probs_NE.shape[1]
    order_A = torch.argsort(assignments.expert_A, stable=True)
    expert_A = assignments.expert_A[order_A]
    counts_E = torch.bincount(expert_A, minlength=num_experts)
    starts_E = torch.cumsum(counts_E, 0) - counts_E
    ranks_A = torch.arange(expert_A.numel(), device=expert_A.device)
    return Routing(
        token_A=assignments.token_A[order_A],
        expert_A=expert_A,
        position_in_expert_A=ranks_A - starts_E[expert_A],
        weight_A=assignments.weight_A[order_A],
        tokens_per_expert_E=counts_E,
        balance_counts_E=torch.bincount(balance_choice_NC.flatten(), minlength=num_experts),
        balance_choices=balance_choice_NC.shape[1],
        mean_probs_E=probs_NE.sum(0) / max(len(probs_NE), 1),
        z_loss=z_loss,
        load=load,
    )
