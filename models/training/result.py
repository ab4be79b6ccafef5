"""Results of training: progress of a run, of one step, and of the complete run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.training.router_health import LayerHealth


@dataclass
class Progress:
    """Counters of a run; part of every checkpoint."""

    step: int = 0
    """Completed optimizer steps."""
    seconds: float = 0.0
    """Time in optimizer steps, over all attempts."""
    target_tokens: int = 0
    resumed_from_step: int = 0
    """Checkpoint that this attempt resumed from; 0 if it began at step 0."""
    validation_loss: float | None = None
    """The last one measured during the run, in nats per target token."""


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """Loss and gradient norm of a step before its update; the same on every rank."""

    loss: float
    """Mean cross-entropy per target token, in nats."""
    load_balance_loss: float
    """Without its weight in the loss; a mean over tokens, summed over layers."""
    grad_norm: float
    """Global gradient norm before clipping."""
    num_targets: int


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """Outcome of a complete run; the weights are in the trainer's model."""

    progress: Progress
    train_loss: float | None
    """Mean of the last five log lines; None without log lines, as on ranks other than 0."""
    validation_loss: float | None
    """Loss of the final weights; None without a validation corpus."""
    router_health: dict[str, LayerHealth]
    """Statistics of each MoE layer over the run, by the layer's name."""
    skipped_batches: list[int]
    peak_flops: float
    """Peak FLOP/s of one rank's device; 0 if unknown."""
    log_lines: list[dict[str, Any]]
    """All log lines of the run; empty on ranks other than 0."""
