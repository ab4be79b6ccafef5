"""Models and numbers of measurements of benchmarks.training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from models.config import ModelConfig, MoEConfig

ROWS = 16
"""Packed rows per step."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkSize:
    """Model and number of measurements."""

    d_model: int
    num_layers: int
    steps: int
    checkpoint_steps: int
    checkpoint_pairs: int
    num_experts: tuple[int, ...]
    parallel: tuple[tuple[str, int, int, int], ...]
    """Data parallelism, expert-parallel size, world size, rows per step; the first is the base."""

    def dense(self) -> ModelConfig:
        return ModelConfig(
            vocab_size=1024,
            d_model=self.d_model,
            d_ff=4 * self.d_model,
            num_heads=4,
            d_kv=64,
            num_layers=self.num_layers,
            activation="relu",
        )

    def sparse(self, num_experts: int = 8) -> ModelConfig:
        """Return the dense model with top-1 dropless experts in every second layer."""
        moe = MoEConfig(num_experts=num_experts, capacity_factor_train=None, expert_dropout=0.0)
        return dataclasses.replace(self.dense(), moe=moe)


FULL = BenchmarkSize(
    d_model=256,
    num_layers=4,
    steps=8,
    checkpoint_steps=50,
    checkpoint_pairs=4,
    num_experts=(8, 16, 64, 128),
    parallel=(
        ("ddp", 1, 1, ROWS),
        ("ddp", 1, 2, ROWS),
        ("oss", 1, 2, ROWS),
        ("sharded", 1, 2, ROWS),
        ("fsdp", 1, 2, ROWS),
        ("oss", 2, 2, ROWS),
        ("oss", 1, 2, 2 * ROWS),
        ("oss", 2, 2, 2 * ROWS),
    ),
)
QUICK = BenchmarkSize(
    d_model=64,
    num_layers=2,
    steps=3,
    checkpoint_steps=5,
    checkpoint_pairs=1,
    num_experts=(8,),
    parallel=(("oss", 2, 2, ROWS),),
)
