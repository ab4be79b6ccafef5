"""GShard routing: top-2, the second expert used with a probability.

Lepikhin et al., arXiv 2006.16668, algorithm 1 (within a group of tokens):
    p            = softmax(W_r x)                          (router, float32)
    e1, e2       = the two most probable experts
    g1, g2       = p_e1 / (p_e1 + p_e2), p_e2 / (p_e1 + p_e2)
    y            = g1 * E_e1(x) + g2 * E_e2(x)
    In training the second expert is used with probability min(1, 2 * g2); in evaluation always,
    so that the output is deterministic.
    load-balancing loss = mean over experts of (fraction of first choices) * (mean probability),
    here times E^2, which makes it Switch's eq. 4, so that one weight fits every router
All first choices precede all second choices when capacity is assigned.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.architecture.moe.routers.scores import RouterWeights
from models.architecture.moe.routers.token_choice import choose_top_k, route_token_choice
from models.architecture.moe.routing import Routing


class GShardRouter(RouterWeights):
    """Top-2 router with normalised gates and a random second expert."""

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Routing:
        """Route a batch of tokens.

        Args:
            x_BLD: tokens, float `[B, L, D]`.
            valid_BL: bool `[B, L]`, False for padding.
        """
        scores = self.scores(x_BLD, valid_BL)
        top_N2, expert_N2 = choose_top_k(scores.probs_NE, 2)
        gate_N2 = top_N2 / top_N2.sum(-1, keepdim=True)
        is_used_N2 = None
        if self.training:
            is_used_N2 = torch.ones_like(gate_N2, dtype=torch.bool)
            is_used_N2[:, 1] = 2 * gate_N2[:, 1].detach() > torch.rand_like(gate_N2[:, 1])
        return route_token_choice(scores, gate_N2, expert_N2, self.config, is_used_N2)
