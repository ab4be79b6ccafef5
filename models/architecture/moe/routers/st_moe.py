"""ST-MoE routing: top-2, weighted by the probabilities without normalisation.

Zoph et al., arXiv 2202.08906, section 2, as in flaxformer's TokensChooseMaskedRouter. The router
z-loss, mean over tokens of (log sum exp of the logits)^2 (eq. 5), is weighted by `z_loss_weight`.
"""

from __future__ import annotations

from models.architecture.moe.routers.top_2 import Top2Router


class STMoERouter(Top2Router):
    """Deterministic top-2 router; gates are not normalised."""

    published_normalize_gates = False
    published_second_expert_threshold = 0.0
