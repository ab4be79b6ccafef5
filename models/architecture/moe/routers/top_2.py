"""Top-2 routing with the options in which published routers differ.

    p      = softmax(W_r x)                     (router, float32)
    e1, e2 = the two most probable experts
    g1, g2 = p_e1, p_e2; with `normalize_gates` both divided by p_e1 + p_e2
    y      = g1 * E_e1(x) + g2 * E_e2(x)
In training the second expert is used with probability min(1, g2 / second_expert_threshold), in
evaluation always, so that the output is deterministic. All first choices precede all second choices
when capacity is assigned.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from models.architecture.moe.routers.scores import RouterWeights
from models.architecture.moe.routers.token_choice import choose_top_k, route_token_choice
from models.architecture.moe.routing import Routing


class Top2Router(RouterWeights):
    """Base of the top-2 routers; subclasses name the published values of the options."""

    published_normalize_gates: ClassVar[bool]
    published_second_expert_threshold: ClassVar[float]

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Routing:
        """Route a batch of tokens.

        Args:
            x_BLD: tokens, float `[B, L, D]`.
            valid_BL: bool `[B, L]`, False for padding.
        """
        moe = self.config
        scores = self.scores(x_BLD, valid_BL)
        gate_N2, expert_N2 = choose_top_k(scores.probs_NE, 2)
        normalize = moe.normalize_gates
        if self.published_normalize_gates if normalize is None else normalize:
            gate_N2 = gate_N2 / gate_N2.sum(-1, keepdim=True)
        threshold = moe.second_expert_threshold
        if threshold is None:
            threshold = self.published_second_expert_threshold
        is_used_N2 = None
        if self.training and threshold > 0:
            is_used_N2 = torch.ones_like(gate_N2, dtype=torch.bool)
            second_N = gate_N2[:, 1].detach()
            is_used_N2[:, 1] = second_N > threshold * torch.rand_like(second_N)
        return route_token_choice(scores, gate_N2, expert_N2, moe, is_used_N2)
