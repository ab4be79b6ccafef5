"""Learning rate by step: linear warm-up, then one of three ways on."""

from __future__ import annotations

import math

from models.training.params import OptimParams


def learning_rate(step: int, steps: int, params: OptimParams) -> float:
    """Rate of step `step` (from 0) of `steps`.

    linear: constant, then falling to 0 over the last `decay_fraction` of the steps; constant;
    inverse_sqrt: falling as 1 / sqrt(step) (Raffel et al., arXiv 1910.10683, section 3.1.2).
    """
    warm = min(1.0, (step + 1) / params.warmup_steps) if params.warmup_steps else 1.0
    if params.schedule == "constant":
        return params.lr * warm
    if params.schedule == "inverse_sqrt":
        return params.lr * min(warm, math.sqrt(params.warmup_steps / (step + 1)))
    decay_steps = params.decay_fraction * steps
    left = (steps - step) / decay_steps if decay_steps else 1.0
    return params.lr * min(warm, min(1.0, left))
