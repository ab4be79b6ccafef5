"""Parameters of evaluation: `models.evaluation.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EvaluationParams:
    """How every run is scored."""

    batch_items: int = 64
    """Requests answered at once."""
    max_new_tokens: int = 32
    """Longest generated answer."""
    threads: int = 1
    """CPU threads."""

    def __post_init__(self) -> None:
        if self.batch_items < 1 or self.max_new_tokens < 1 or self.threads < 1:
            raise ValueError("batch_items, max_new_tokens and threads must be at least 1")
