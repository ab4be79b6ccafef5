"""Memory that training a model takes, in closed form. Activations are not in it: they grow with the
batch, and checkpointing trades them against time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.config import ModelConfig
from models.cost import flops

FLOAT32, BFLOAT16 = 4, 2
OPTIMIZERS = ("adafactor", "adamw")


@dataclass(frozen=True, kw_only=True)
class TrainingMemory:
    """Bytes, over all devices together."""

    weights: int
    """float32: the ones that the optimizer changes."""
    casts: int
    """Their bfloat16 copies, as autocast makes them."""
    gradients: int
    """float32."""
    optimizer: int
    """Its state, float32."""

    @property
    def total(self) -> int:
        return self.weights + self.casts + self.gradients + self.optimizer


def training_memory(config: ModelConfig, optimizer: str) -> TrainingMemory:
    """Bytes to train in bfloat16 with float32 weights. `optimizer`: one of OPTIMIZERS.

    AdamW keeps two values a weight (Loshchilov and Hutter, arXiv 1711.05101); Adafactor a row and a
    column of each matrix instead of the matrix (Shazeer and Stern, arXiv 1804.04235).
    """
    total = flops.parameters(config).total
    state = 2 * total if optimizer == "adamw" else _adafactor(config)
    return TrainingMemory(
        weights=FLOAT32 * total,
        casts=BFLOAT16 * total,
        gradients=FLOAT32 * total,
        optimizer=FLOAT32 * state,
    )


def _adafactor(config: ModelConfig) -> int:
    """Values that torch's Adafactor keeps for the second moments."""
    return sum(
        weight.copies * (sum(weight.shape) if len(weight.shape) > 1 else math.prod(weight.shape))
        for weight in flops.weights(config)
    )
