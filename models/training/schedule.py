"""Learning-rate schedules: linear warm-up, then linear decay, constant or inverse square root."""

from __future__ import annotations

import math

from models.training.params import OptimParams


def learning_rate(step: int, num_steps: int, params: OptimParams) -> float:
    """Compute the learning rate of a step.

    After a linear warm-up over `warmup_steps`:
    - linear: lr, then linear decay to 0 over the last `decay_fraction` of the steps;
    - constant: lr;
    - inverse_sqrt: lr * sqrt(warmup_steps / (step + 1)).
    Without a linear warm-up:
    - t5: lr * sqrt(warmup_steps / max(step + 1, warmup_steps)) (Raffel et al., arXiv 1910.10683,
      section 3.1.2).

    Args:
        step: optimizer step, from 0.
        num_steps: optimizer steps of the run.
        params: schedule and peak rate.

    Returns:
        The learning rate.
    """
    if params.schedule == "t5":
        return params.lr * math.sqrt(params.warmup_steps / max(step + 1, params.warmup_steps))
    warmup = min(1.0, (step + 1) / params.warmup_steps) if params.warmup_steps else 1.0
    if params.schedule == "constant":
        return params.lr * warmup
    if params.schedule == "inverse_sqrt":
        return params.lr * min(warmup, math.sqrt(params.warmup_steps / (step + 1)))
    decay_steps = params.decay_fraction * num_steps
    decay = (num_steps - step) / decay_steps if decay_steps else 1.0
    return params.lr * min(warmup, min(1.0, decay))
