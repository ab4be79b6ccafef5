"""Switch routing: each token goes to its most probable expert.

Fedus et al., arXiv 2101.03961, section 2.1:
    p(x) = softmax(W_r x)                       (router, float32)
    i    = argmax_i p_i(x)
    y    = p_i(x) * E_i(x)                      (eq. 2 with k = 1)
An expert accepts at most `capacity` tokens, in token order; the rest pass through the
residual connection alone.
"""

from __future__ import annotations

from torch import Tensor

from models.architecture.moe.routers.scores import RouterWeights
from models.architecture.moe.routers.token_choice import choose_top, route
from models.architecture.moe.routing import Routing


class SwitchRouter(RouterWeights):
    """Top-1 router."""

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Routing:
        """`x_BLD`: tokens; `valid_BL`: False for padding."""
        scores = self.scores(x_BLD, valid_BL)
        gate_N1, expert_N1 = choose_top(scores.probs_NE, 1)
        return route(scores, gate_N1, expert_N1, self.config)
