"""From each token's chosen experts to a Routing: precedence, capacity, losses, statistics.

Shape suffixes: N valid tokens, E experts, K choices.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.architecture.moe.losses import router_z_loss
from models.architecture.moe.routers.scores import Scores
from models.architecture.moe.routing import (
    Assignments,
    LoadStatistics,
    Routing,
    assemble,
    drop_overflow,
)
from models.config import MoEConfig


def choose_top(probs_NE: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k most probable experts of each token: (probability, expert), `[N, K]` each."""
    if k == 1:
        gate_N, expert_N = probs_NE.max(dim=-1)
        return gate_N.unsqueeze(-1), expert_N.unsqueeze(-1)
    gate_NK, expert_NK = probs_NE.topk(k, dim=-1)
    return gate_NK, expert_NK


def route(
    scores: Scores,
    gate_NK: Tensor,
    expert_NK: Tensor,
    config: MoEConfig,
    wanted_NK: Tensor | None = None,
) -> Routing:
    """First choices take room before second ones (GShard, algorithm 1), tokens in order.

    With `batch_priority`, tokens whose first gate is highest come first instead (V-MoE,
    algorithm 2). `wanted_NK`: False where a choice is not made at all; such a choice asks for no
    room and is not counted as dropped.
    """
    tokens, k = expert_NK.shape
    order_N = torch.arange(tokens, device=expert_NK.device)
    if config.batch_priority:
        order_N = torch.argsort(scores.probs_NE.detach().max(dim=-1).values, descending=True)
    # [first choices of all tokens, second choices of all tokens, ...]
    place_A = order_N.repeat(k)
    expert_A = expert_NK[order_N].t().flatten()
    gate_A = gate_NK[order_N].t().flatten()
    if wanted_NK is not None:
        wanted_A = torch.nonzero(wanted_NK[order_N].t().flatten()).squeeze(-1)
        place_A, expert_A, gate_A = place_A[wanted_A], expert_A[wanted_A], gate_A[wanted_A]
    kept = drop_overflow(expert_A, scores.group_N[place_A], scores.limit_G, config.num_experts)
    return assemble(
        Assignments(
            token_A=scores.token_N[place_A[kept]],
            expert_A=expert_A[kept],
            weight_A=gate_A[kept],
        ),
        probs_NE=scores.probs_NE,
        first_N=expert_NK[:, 0],
        z_loss=router_z_loss(scores.logits_NE),
        load=LoadStatistics(
            tokens_per_expert_E=torch.bincount(expert_A, minlength=config.num_experts),
            dropped=torch.tensor(expert_A.numel() - kept.numel()),
            assigned=torch.tensor(expert_A.numel()),
            entropy=scores.entropy(),
        ),
    )
