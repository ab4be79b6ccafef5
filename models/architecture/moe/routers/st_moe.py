"""ST-MoE routing: top-2, weighted by the probabilities without normalisation.

Zoph et al., arXiv 2202.08906, section 2 and appendix:
    p       = softmax(W_r x)                               (router, float32)
    T       = the two most probable experts
    y       = sum over i in T of p_i * E_i(x)
    z-loss  = mean over tokens of (log sum exp of the logits)^2  (eq. 5), weighted by z_loss_weight
All first choices precede all second choices when capacity is assigned.
"""

from __future__ import annotations

from torch import Tensor

from models.architecture.moe.routers.scores import RouterWeights
from models.architecture.moe.routers.token_choice import choose_top_k, route_token_choice
from models.architecture.moe.routing import Routing


class STMoERouter(RouterWeights):
    """Deterministic top-2 router; gates are not normalised."""

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Routing:
        """Route a batch of tokens.

        Args:
            x_BLD: tokens, float `[B, L, D]`.
            valid_BL: bool `[B, L]`, False for padding.
        """
        scores = self.scores(x_BLD, valid_BL)
        gate_N2, expert_N2 = choose_top_k(scores.probs_NE, 2)
        return route_token_choice(scores, gate_N2, expert_N2, self.config)
