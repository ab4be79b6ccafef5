"""Detection of loss spikes and non-finite losses, and the batches skipped because of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from data_pipelines.order import batch_of_step
from models.training.params import GuardParams

WINDOW = 20
"""Number of recent losses whose mean is the reference for a spike."""


@dataclass
class LossGuard:
    """Loss history and skipped batches; part of every checkpoint, so that a resume is exact."""

    params: GuardParams
    recent_losses: list[float] = field(default_factory=list)
    """At most the last WINDOW losses."""
    skipped_batches: list[int] = field(default_factory=list)
    """Indices of skipped batches in the data stream, ascending."""

    def find_anomaly(self, loss: float, grad_norm: float) -> str | None:
        """Return a description of the anomaly in a step, or None if the step is normal."""
        if not math.isfinite(loss) or not math.isfinite(grad_norm):
            return f"loss is {loss:.4g}, gradient norm {grad_norm:.4g}"
        if self.params.loss_spike_factor and len(self.recent_losses) == WINDOW:
            mean = sum(self.recent_losses) / WINDOW
            if loss > self.params.loss_spike_factor * mean:
                return f"loss is {loss:.4g}, {loss / mean:.1f} times the mean of the last {WINDOW}"
        return None

    def record(self, loss: float) -> None:
        """Add the loss of a normal step to the history."""
        self.recent_losses = [*self.recent_losses, loss][-WINDOW:]

    def skip(self, batch_index: int) -> bool:
        """Exclude a batch from the data stream; return False if the limit is already reached."""
        if len(self.skipped_batches) >= self.params.max_skipped_batches:
            return False
        self.skipped_batches = sorted({*self.skipped_batches, batch_index})
        return True

    def batch_index(self, step: int) -> int:
        """Return the index of the batch that `step` trains on, both from 0."""
        return batch_of_step(step, self.skipped_batches)
