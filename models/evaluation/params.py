"""Parameters of evaluation: `models.evaluation.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EvaluationParams:
    """How every run is scored."""

    suites: tuple[str, ...] = ("sample",)
    """Suites to score, names of files in models/evaluation/suites."""
    limit: int | None = None
    """Items of each task, chosen by hash; null: all. A limit marks scores partial."""
    max_input_tokens: int | None = None
    """Longest prompt in tokens; null: the encoder length the model was trained at. Worked examples
    that do not fit are left out."""
    max_new_tokens: int | None = None
    """Longest generated answer, where that is less than the suite's own; null: the suite's own."""
    batch_size: int = 64
    """Requests run_batches at once, at most."""
    max_batch_tokens: int = 16384
    """Input tokens run_batches at once, padding included, at most."""
    threads: int = 1
    """CPU threads of each process."""
    engine: str = "local"
    """`local`: this machine; `dask`: a cluster. Who answers changes no answer."""
    workers: int = 1
    """Processes that answer, each with the model in memory."""
    scheduler: str = ""
    """Address of a running Dask scheduler; empty: DASK_SCHEDULER_ADDRESS, else one of our own."""

    def __post_init__(self) -> None:
        for name in ("limit", "max_input_tokens", "max_new_tokens", "batch_size", "max_batch_tokens",
                     "threads", "workers"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1")
        if not self.suites or len(set(self.suites)) < len(self.suites):
            raise ValueError("suites must name at least one suite, each once")
        if self.engine not in ("local", "dask"):
            raise ValueError(f"engine is {self.engine!r}: it must be local or dask")
        if self.scheduler and self.engine != "dask":
            raise ValueError("scheduler is named, but engine is not dask")
