"""Switch routing: each token goes to its most probable expert.

Fedus et al., arXiv 2101.03961, section 2.1:
    p(x) = softmax(W_r x)                       (router, float32)
    i    = argmax_i p_i(x)
    y    = p_i(x) * E_i(x)                      (eq. 2 with top_k = 1)
An expert accepts tokens up to its capacity, in token order; for the others the layer outputs 0 and
only the residual connection remains.
"""

from __future__ import annotations

from torch import Tensor

from models.architecture.moe.routers.scores import RouterWeights
from models.architecture.moe.routers.token_choice import choose_top_k, route_token_choice
from models.architecture.moe.routing import Routing


class SwitchRouter(RouterWeights):
    """Top-1 router."""

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Routing:
        """Route a batch of tokens.

        Args:
            x_BLD: tokens, float `[B, L, D]`.
            valid_BL: bool `[B, L]`, False for padding.
        """
        scores = self.scores(x_BLD, valid_BL)
        gate_N1, expert_N1 = choose_top_k(scores.probs_NE, 1)
        return route_token_choice(scores, gate_N1, expert_N1, self.config)
