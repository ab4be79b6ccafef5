"""A routing is data: who goes where, at which weight, and how well the load is spread.

Every router returns a `Routing`; every dispatch backend consumes one.

Shape suffixes: T tokens, E experts, A assignments (at most T * k).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LoadStatistics:
    """How the tokens of one layer and one batch were spread over its experts."""

    tokens_per_expert_E: Tensor
    """Tokens that chose each expert, before capacity dropped any (int64)."""
    dropped: Tensor
    """Assignments refused because the expert was full (int64 scalar)."""
    assigned: Tensor
    """Assignments asked for: valid tokens times k (int64 scalar)."""
    entropy: Tensor
    """Mean entropy of the router's distribution, in nats (float scalar)."""


@dataclass(frozen=True, kw_only=True)
class Routing:
    """A flat list of assignments, sorted by expert and, within one, by token.

    `token_A`, `expert_A`: int64 indices. `slot_A`: the row of the expert the token takes.
    `weight_A`: what the expert's output is multiplied by; carries the router's gradient.
    `rows_per_expert_E`: assignments kept for each expert (its length is E).
    """

    token_A: Tensor
    expert_A: Tensor
    slot_A: Tensor
    weight_A: Tensor
    rows_per_expert_E: Tensor
    balance_loss: Tensor
    z_loss: Tensor
    load: LoadStatistics


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
