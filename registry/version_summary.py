"""A registered version as one line of a list: columns of the database, without its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from registry.tables import CHAMPION, VersionState


@dataclass(frozen=True, kw_only=True)
class ScoreInterval:
    """A score in percent, with its 95 % interval."""

    value: float
    low: float
    high: float


class Standing:
    """What state and aliases say about a version."""

    state: VersionState
    aliases: tuple[str, ...]

    @property
    def is_champion(self) -> bool:
        """Whether it is the model's champion."""
        return CHAMPION in self.aliases

    @property
    def standing(self) -> str:
        """`champion`, or the state of a version that is not champion."""
        return CHAMPION if self.is_champion else self.state.value


@dataclass(frozen=True, kw_only=True)
class VersionSummary(Standing):
    """A version with the scores of its newest evaluation."""

    model: str
    version: int
    name: str
    """Name of the run in params.yaml."""
    seed: int
    state: VersionState
    aliases: tuple[str, ...]
    is_pinned: bool
    description: str
    tags: Mapping[str, str]
    tuned: bool
    is_moe: bool
    total_parameters: int
    active_parameters: int
    flops_per_token: float
    training_flops: float
    cumulative_training_flops: float | None
    training_seconds: float | None
    git_commit: str
    data_version: str
    accuracy: float
    standard_error: float
    random_score: float
    normalised: float
    partial: bool
    num_items: int
    items_digest: str
    flops_per_item: float
    artifact: str
    created_at: datetime
    scores: Mapping[str, ScoreInterval] = field(default_factory=dict)
    """By name in the table `metrics`; only those that a query names."""

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return {
            **vars(self),
            "state": self.state.value,
            "aliases": list(self.aliases),
            "tags": dict(self.tags),
            "created_at": self.created_at.isoformat(),
            "scores": {name: vars(score) for name, score in self.scores.items()},
        }
