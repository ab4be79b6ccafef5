"""Memory of training in closed form: weights, gradients and optimizer state.

Activations are not included, as they depend on the batch size and activation checkpointing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from models.choices import OptimizerName
from models.config import ModelConfig
from models.cost import flops
from models.training.factoring import is_factored

FLOAT32_BYTES, BFLOAT16_BYTES = 4, 2
OPTIMIZERS: tuple[OptimizerName, ...] = get_args(OptimizerName)


@dataclass(frozen=True, kw_only=True)
class TrainingMemory:
    """Bytes, summed over all devices."""

    weights: int
    """Weights in float32."""
    bfloat16_weights: int
    """Copies of the weights in bfloat16, as autocast creates them."""
    gradients: int
    """Gradients in float32."""
    optimizer: int
    """Optimizer state in float32."""

    @property
    def total(self) -> int:
        return self.weights + self.bfloat16_weights + self.gradients + self.optimizer


def training_memory(config: ModelConfig, optimizer: OptimizerName) -> TrainingMemory:
    """Compute the bytes to train in bfloat16 with float32 weights.

    AdamW stores two values per weight (Loshchilov and Hutter, arXiv 1711.05101); Adafactor stores
    a row and a column per large matrix (Shazeer and Stern, arXiv 1804.04235).

    Args:
        config: model.
        optimizer: adamw or adafactor.
    """
    total = flops.count_parameters(config).total
    state_values = 2 * total if optimizer == "adamw" else _adafactor_values(config)
    return TrainingMemory(
        weights=FLOAT32_BYTES * total,
        bfloat16_weights=BFLOAT16_BYTES * total,
        gradients=FLOAT32_BYTES * total,
        optimizer=FLOAT32_BYTES * state_values,
    )


def _adafactor_values(config: ModelConfig) -> int:
    """Return the number of values in Adafactor's second moments."""
    return sum(
        weight.num_copies
        * (sum(weight.shape) if is_factored(weight.shape) else math.prod(weight.shape))
        for weight in flops.weight_shapes(config)
    )
