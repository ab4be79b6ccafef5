"""Learning-rate schedules: linear warm-up, then linear decay, constant or inverse square root."""

from __future__ import annotations

import math

from models.training.params import OptimParams


def learning_rate(step: int, num_steps: int, params: OptimParams) -> float:
    """Compute the learning rate of a step.

    linear: constant, then linear decay to 0 over the last `decay_fraction` of the steps. constant.
    inverse_sqrt: proportional to 1 / sqrt(step) (Raffel et al., arXiv 1910.10683, section 3.1.2).

    Args:
        step: step to compute the rate of, from 0.
        num_steps: steps of the run.
        params: schedule and peak rate.

    Returns:
        The learning rate.
    """
    warmup = min(1.0, (step + 1) / params.warmup_steps) if params.warmup_steps else 1.0
    if params.schedule == "constant":
        return params.lr * warmup
    if params.schedule == "inverse_sqrt":
        return params.lr * min(warmup, math.sqrt(params.warmup_steps / (step + 1)))
    decay_steps = params.decay_fraction * num_steps
    decay = (num_steps - step) / decay_steps if decay_steps else 1.0
    return params.lr * min(warmup, min(1.0, decay))
