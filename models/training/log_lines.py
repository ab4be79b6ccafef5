"""Log lines of a run: losses, throughput, MFU and router health since the previous line."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from models.config import ModelConfig
from models.cost.training import training_flops
from models.training.metrics_logger import LogLine
from models.training.params import TrainingParams
from models.training.result import Progress, StepResult
from models.training.router_health import RouterHealth
from models.training.schedule import learning_rate

MEASURED = ("tokens_per_second", "mfu", "time")
"""Entries of a line that differ whenever the run is repeated."""


@dataclass(frozen=True)
class _Totals:
    """Totals of a run at the time of a log line, or of a restart after it."""

    health: RouterHealth = field(default_factory=RouterHealth)
    """At the log line."""
    step: int = 0
    target_tokens: int = 0
    time_s: float = 0.0


class LogLineBuilder:
    """Computes each log line over the steps since the previous one."""

    def __init__(
        self,
        config: ModelConfig,
        params: TrainingParams,
        *,
        steps: int,
        encoder_length: int,
        decoder_length: int,
        peak_flops: float,
    ) -> None:
        """Compute the FLOPs of a row.

        Args:
            config: model that is trained.
            params: batch size, schedule, frozen parameters and interval of the log lines.
            steps: optimizer steps of the run.
            encoder_length: input tokens of a packed row.
            decoder_length: target tokens of a packed row.
            peak_flops: peak FLOP/s of all ranks together; 0: MFU is None.
        """
        self.config, self.params = config, params
        self.steps, self.peak_flops = steps, peak_flops
        self._row_flops = training_flops(
            config,
            encoder_tokens=encoder_length,
            decoder_tokens=decoder_length,
            rows=1,
            freeze=params.freeze,
        ).total
        self._previous = _Totals()

    def is_due(self, completed: int) -> bool:
        """Return whether a line follows this number of completed steps."""
        return completed % self.params.log_every == 0 or completed == self.steps

    @property
    def previous_health(self) -> RouterHealth:
        """Router statistics of the run up to the previous line."""
        return self._previous.health

    def reset(self, health: RouterHealth, progress: Progress) -> None:
        """Begin a new window.

        Args:
            health: router statistics up to the previous line, over all ranks.
            progress: counters now; throughput is measured from here.
        """
        self._previous = _Totals(health, progress.step, progress.target_tokens, time.perf_counter())

    def build(
        self, result: StepResult, progress: Progress, health: RouterHealth
    ) -> tuple[LogLine, dict[str, str]]:
        """Build the line of the step that was just completed, and begin a new window.

        Args:
            result: losses of that step.
            progress: counters, that step included.
            health: router statistics of the run so far, over all ranks.

        Returns:
            The line, and router warnings by kind.
        """
        previous = self._previous
        self.reset(health, progress)
        recent = health.since(previous.health)
        seconds = self._previous.time_s - previous.time_s
        num_steps = progress.step - previous.step
        flops_per_second = num_steps * self.params.global_batch_size * self._row_flops / seconds
        num_tokens = progress.target_tokens - previous.target_tokens
        line = {
            "step": progress.step,
            "steps": self.steps,
            "loss": round(result.loss, 7),
            "load_balance_loss": round(result.load_balance_loss, 7),
            "lr": learning_rate(progress.step - 1, self.steps, self.params.optim),
            "grad_norm": round(result.grad_norm, 7),
            "target_tokens": progress.target_tokens,
            "validation_loss": progress.validation_loss,
            "max_expert_load": recent.max_expert_load(),
            "tokens_per_second": round(num_tokens / seconds, 1),
            "mfu": round(flops_per_second / self.peak_flops, 4) if self.peak_flops else None,
            "time": round(time.time(), 1),
        }
        return line, recent.warnings(self.config)


def split_lines(lines: list[LogLine]) -> tuple[list[LogLine], list[LogLine]]:
    """Return the lines without what was measured, and the measurements with their steps."""
    results = [{key: line[key] for key in line if key not in MEASURED} for line in lines]
    measured = [{"step": line["step"], **{key: line[key] for key in MEASURED}} for line in lines]
    return results, measured
