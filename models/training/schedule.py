"""Learning rate by step: linear warm-up, constant, linear decay to 0."""

from __future__ import annotations

from models.training.params import OptimParams


def learning_rate(step: int, steps: int, params: OptimParams) -> float:
    """Rate of step `step` (from 0) of `steps`."""
    warm = min(1.0, (step + 1) / params.warmup_steps) if params.warmup_steps else 1.0
    decay_steps = params.decay_share * steps
    left = (steps - step) / decay_steps if decay_steps else 1.0
    return params.lr * min(warm, min(1.0, left))
