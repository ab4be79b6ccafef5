"""Build a Routing from each token's chosen experts: precedence, capacity, losses, statistics.

Shape suffixes: N valid tokens, E experts, K choices, A assignments.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.architecture.moe.losses import router_z_loss
from models.architecture.moe.routers.scores import RouterScores
from models.architecture.moe.routing import (
    Assignments,
    LoadStatistics,
    Routing,
    build_routing,
    drop_overflow,
)
from models.config import MoEConfig


def choose_top_k(probs_NE: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Choose the `top_k` most probable experts of each token.

    Args:
        probs_NE: router probabilities, float `[N, E]`.
        top_k: K.

    Returns:
        Probabilities (float) and experts (int64), `[N, K]` each, most probable first.
    """
    if top_k == 1:
        gate_N, expert_N = probs_NE.max(dim=-1)
        return gate_N.unsqueeze(-1), expert_N.unsqueeze(-1)
    gate_NK, expert_NK = probs_NE.topk(top_k, dim=-1)
    return gate_NK, expert_NK


def route_token_choice(
    scores: RouterScores,
    gate_NK: Tensor,
    expert_NK: Tensor,
    config: MoEConfig,
    is_used_NK: Tensor | None = None,
) -> Routing:
    """Assign tokens to their chosen experts, up to the capacity of each expert.

    All first choices precede all second choices (GShard, algorithm 1), in token order; with
    `batch_priority` in descending order of the highest router probability (V-MoE, algorithm 2).

    Args:
        scores: scores of the valid tokens.
        gate_NK: weight of each choice, float `[N, K]`; carries the router's gradient.
        expert_NK: chosen experts, int64 `[N, K]`, first choice first.
        config: MoE configuration of the stack.
        is_used_NK: bool `[N, K]`; an unused choice takes no capacity and does not count as
            dropped. None: all are used.
    """
    num_tokens, top_k = expert_NK.shape
    order_N = torch.arange(num_tokens, device=expert_NK.device)
    if config.batch_priority:
        order_N = torch.argsort(scores.probs_NE.detach().max(dim=-1).values, descending=True)
    # [first choices of all tokens, second choices of all tokens, ...]
    index_A = order_N.repeat(top_k)
    expert_A = expert_NK[order_N].t().flatten()
    gate_A = gate_NK[order_N].t().flatten()
    if is_used_NK is not None:
        used_A = torch.nonzero(is_used_NK[order_N].t().flatten()).squeeze(-1)
        index_A, expert_A, gate_A = index_A[used_A], expert_A[used_A], gate_A[used_A]
    retained = drop_overflow(
        expert_A, scores.group_N[index_A], scores.capacity_G, config.num_experts
    )
    return build_routing(
        Assignments(
            token_A=scores.token_N[index_A[retained]],
            expert_A=expert_A[retained],
            weight_A=gate_A[retained],
        ),
        probs_NE=scores.probs_NE,
        balance_choice_NC=(
            expert_NK if config.load_balance_loss_choices == "all" else expert_NK[:, :1]
        ),
        z_loss=router_z_loss(scores.logits_NE),
        load=LoadStatistics(
            requested_per_expert_E=torch.bincount(expert_A, minlength=config.num_experts),
            num_dropped=torch.tensor(expert_A.numel() - retained.numel()),
            num_requested=torch.tensor(expert_A.numel()),
            entropy=scores.entropy(),
        ),
    )
