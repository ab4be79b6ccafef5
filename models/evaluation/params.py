"""Parameters of evaluation: `models.evaluation.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data_pipelines.bounds import Count, Processes


@dataclass(frozen=True, kw_only=True)
class EvaluationParams:
    """How every run is evaluated."""

    suites: tuple[str, ...] = ("sample",)
    """Suites to score: names of files in models/evaluation/suites."""
    limit: Count | None = None
    """Number of items of each task, chosen by hash; null: all. A limit marks scores partial."""
    max_input_tokens: Count | None = None
    """Maximum prompt length in tokens; null: the encoder length of training. Few-shot exemplars
    that do not fit are dropped."""
    max_new_tokens: Count | None = None
    """Maximum number of generated tokens, where it is below the suite's own; null: the suite's."""
    batch_size: Count = 64
    """Maximum number of requests of a batch."""
    max_batch_tokens: Count = 16384
    """Maximum number of input tokens of a batch, padding included."""
    threads: Processes = 1
    """CPU threads of each process."""
    engine: Literal["local", "dask"] = "local"
    """Where batches run: `local`, on this machine; `dask`, on a cluster. Answers are identical."""
    workers: Processes = 1
    """Number of processes, each with a copy of the model in memory."""
    scheduler: str = ""
    """Address of a running Dask scheduler; empty: DASK_SCHEDULER_ADDRESS, else a local cluster."""

    def __post_init__(self) -> None:
        if not self.suites:
            raise ValueError("suites: [] is empty; name at least one suite")
        if self.scheduler and self.engine != "dask":
            raise ValueError(f"scheduler: {self.scheduler!r} requires engine: dask")
