"""Notices a loss that explodes or is no number; knows which batches are left out for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.training.params import GuardParams

WINDOW = 20


@dataclass
class Guard:
    """Part of every checkpoint, so that a continued run judges as an undisturbed one does."""

    params: GuardParams
    recent: list[float] = field(default_factory=list)
    """The last losses."""
    skipped: list[int] = field(default_factory=list)
    """Batches left out, by their number in the stream, in ascending order."""

    def complaint(self, loss: float, norm: float) -> str | None:
        """What is wrong with a step, before it changes any weight; None for a good one."""
        if not math.isfinite(loss) or not math.isfinite(norm):
            return f"the loss is {loss:.4g}, the gradient's norm {norm:.4g}"
        if self.params.loss_spike_factor and len(self.recent) == WINDOW:
            usual = sum(self.recent) / WINDOW
            if loss > self.params.loss_spike_factor * usual:
                return f"the loss is {loss:.4g}, {loss / usual:.1f} times the mean of the last 20"
        return None

    def passed(self, loss: float) -> None:
        """A good step's loss."""
        self.recent = [*self.recent, loss][-WINDOW:]

    def skip(self, batch: int) -> bool:
        """Leave out this batch; False if as many as allowed are left out already."""
        if len(self.skipped) >= self.params.max_skipped_batches:
            return False
        self.skipped = sorted({*self.skipped, batch})
        return True

    def batch_of(self, step: int) -> int:
        """Number of the batch of step `step`, both from 0: the stream without what is skipped."""
        batch = step
        for left_out in self.skipped:
            if left_out <= batch:
                batch += 1
        return batch
