"""ST-MoE routing: two experts a token, weighted by their probabilities as they are.

Zoph et al., arXiv 2202.08906, section 2 and appendix:
    p       = softmax(W_r x)                               (router, float32)
    T       = the two most probable experts
    y       = sum over i in T of p_i * E_i(x)
    z-loss  = mean of (log sum exp of a token's logits)^2  (eq. 5), weighted in the configuration
First choices take an expert's room before second ones.
"""

from __future__ import annotations

from torch import Tensor

from models.architecture.moe.routers.scores import RouterWeights
from models.architecture.moe.routers.token_choice import choose_top, route
from models.architecture.moe.routing import Routing


class STMoERouter(RouterWeights):
    """Deterministic top-2 router; gates are not normalised."""

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Routing:
        """`x_BLD`: tokens; `valid_BL`: False for padding."""
        scores = self.scores(x_BLD, valid_BL)
        gate_N2, expert_N2 = choose_top(scores.probs_NE, 2)
        return route(scores, gate_N2, expert_N2, self.config)
