"""Parameters of evaluation: `models.evaluation.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_POSITIVE_FIELDS = (
    "limit",
    "max_input_tokens",
    "max_new_tokens",
    "batch_size",
    "max_batch_tokens",
    "threads",
    "workers",
)


@dataclass(frozen=True, kw_only=True)
class EvaluationParams:
    """How every run is evaluated."""

    suites: tuple[str, ...] = ("sample",)
    """Suites to score: names of files in models/evaluation/suites."""
    limit: int | None = None
    """Number of items of each task, chosen by hash; null: all. A limit marks scores partial."""
    max_input_tokens: int | None = None
    """Maximum prompt length in tokens; null: the encoder length of training. Few-shot exemplars
    that do not fit are dropped."""
    max_new_tokens: int | None = None
    """Maximum number of generated tokens, where it is below the suite's own; null: the suite's."""
    batch_size: int = 64
    """Maximum number of requests of a batch."""
    max_batch_tokens: int = 16384
    """Maximum number of input tokens of a batch, padding included."""
    threads: int = 1
    """CPU threads of each process."""
    engine: Literal["local", "dask"] = "local"
    """Where batches run: `local`, on this machine; `dask`, on a cluster. Answers are identical."""
    workers: int = 1
    """Number of processes, each with a copy of the model in memory."""
    scheduler: str = ""
    """Address of a running Dask scheduler; empty: DASK_SCHEDULER_ADDRESS, else a local cluster."""

    def __post_init__(self) -> None:
        for name in _POSITIVE_FIELDS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if not self.suites or len(set(self.suites)) < len(self.suites):
            raise ValueError("suites must name at least one suite, each once")
        if self.scheduler and self.engine != "dask":
            raise ValueError("scheduler requires engine: dask")
