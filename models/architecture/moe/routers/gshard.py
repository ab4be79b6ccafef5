"""GShard routing: top-2, the second expert used with a probability.

Lepikhin et al., arXiv 2006.16668, algorithm 1: gates are normalised, and the second expert is used
with probability min(1, 2 * g2). Load-balancing loss: mean over experts of (fraction of first
choices) * (mean probability), here times E^2, which makes it Switch's eq. 4, so that one weight
fits every router.
"""

from __future__ import annotations

from models.architecture.moe.routers.top_2 import Top2Router


class GShardRouter(Top2Router):
    """Top-2 router with normalised gates and a random second expert."""

    published_normalize_gates = True
    published_second_expert_threshold = 0.5
