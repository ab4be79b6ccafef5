"""A routing is data: who goes where, at which weight, and how well the load is spread.

Every router returns a `Routing`; every dispatch backend consumes one.

Shape suffixes: T tokens, N valid tokens, E experts, K choices, G groups, A assignments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.architecture.moe.losses import balance_loss


@dataclass(frozen=True, kw_only=True)
class LoadStatistics:
    """How the tokens of one layer and one batch were spread over its experts."""

    tokens_per_expert_E: Tensor
    """Tokens that chose each expert (or that it chose), before capacity dropped any (int64)."""
    dropped: Tensor
    """Assignments refused because the expert was full; with expert choice, tokens that no expert
    chose (int64 scalar)."""
    assigned: Tensor
    """Assignments asked for: valid tokens times k; with expert choice, valid tokens (int64)."""
    entropy: Tensor
    """Mean entropy of the router's distribution, in nats (float scalar)."""


@dataclass(frozen=True, kw_only=True)
class Routing:
    """A flat list of assignments, sorted by expert and, within one, by slot.

    `token_A`, `expert_A`: int64 indices. `slot_A`: the row of the expert the token takes, counted
    from 0 without gaps. `weight_A`: what the expert's output is multiplied by; carries the
    router's gradient. `rows_per_expert_E`: assignments of each expert (its length is E).
    """

    token_A: Tensor
    expert_A: Tensor
    slot_A: Tensor
    weight_A: Tensor
    rows_per_expert_E: Tensor
    first_E: Tensor
    """Valid tokens whose first choice is each expert, before capacity dropped any (int64)."""
    probs_E: Tensor
    """Mean probability of each expert over the valid tokens; carries the router's gradient."""
    z_loss: Tensor
    """Router z-loss, a mean over the valid tokens, without its weight."""
    load: LoadStatistics

    @property
    def balance_loss(self) -> Tensor:
        """Load-balance loss of these tokens, without its weight."""
        return balance_loss(self.first_E, self.probs_E)


@dataclass(frozen=True, kw_only=True)
class Assignments:
    """What a router decided, in any order: the part of a Routing that routers differ in."""

    token_A: Tensor
    expert_A: Tensor
    weight_A: Tensor


def capacity(tokens: int, num_experts: int, k: int, factor: float | None, minimum: int) -> int:
    """Rows an expert accepts: ceil(factor * tokens * k / E), at least `minimum`.

    Switch, eq. 3. `factor=None` is dropless: an expert could take every token.
    """
    if factor is None:
        return tokens
    return min(tokens, max(minimum, math.ceil(factor * tokens * k / num_experts)))


def slots(expert_A: Tensor, num_experts: int) -> Tensor:
    """Position of each assignment among those of the same expert, in list order.

    `[0, 1, 0, 0] -> [0, 0, 1, 2]`.
    """
    order = torch.argsort(expert_A, stable=True)
    counts = torch.bincount(expert_A, minlength=num_experts)
    starts = torch.cumsum(counts, 0) - counts
    slot = torch.empty_like(expert_A)
    ranks = torch.arange(expert_A.numel(), device=expert_A.device)
    slot[order] = ranks - starts[expert_A[order]]
    return slot


def drop_overflow(
    expert_A: Tensor, group_A: Tensor, limit_G: list[int], num_experts: int
) -> Tensor:
    """Indices of the assignments that find room, in list order: `limit_G[g]` an expert in group g.

    Earlier assignments take room first, so the order of the list is the order of precedence.
    """
    place_A = group_A * num_experts + expert_A
    slot_A = slots(place_A, num_experts * len(limit_G))
    limit_A = torch.tensor(limit_G, device=expert_A.device)[group_A]
    return torch.nonzero(slot_A < limit_A).squeeze(-1)


def assemble(
    made: Assignments,
    *,
    probs_NE: Tensor,
    first_N: Tensor,
    z_loss: Tensor,
    load: LoadStatistics,
) -> Routing:
    """The Routing of assignments that all have room.

    `probs_NE`: the valid tokens' probabilities; `first_N`: the expert each would choose first.
    """
    num_experts = probs_NE.shape[1]
    order = torch.argsort(made.expert_A, stable=True)
    expert_A = made.expert_A[order]
    rows_E = torch.bincount(expert_A, minlength=num_experts)
    starts_E = torch.cumsum(rows_E, 0) - rows_E
    ranks = torch.arange(expert_A.numel(), device=expert_A.device)
    return Routing(
        token_A=made.token_A[order],
        expert_A=expert_A,
        slot_A=ranks - starts_E[expert_A],
        weight_A=made.weight_A[order],
        rows_per_expert_E=rows_E,
        first_E=torch.bincount(first_N, minlength=num_experts),
        probs_E=probs_NE.sum(0) / max(len(probs_NE), 1),
        z_loss=z_loss,
        load=load,
    )
