"""Parameters of the registry: `registry.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class GateParams:
    """What a version must show before it may become champion."""

    min_items: int = 200
    """Fewest evaluation items its accuracy rests on."""
    min_standard_errors_above_chance: float = 2.0
    """How many standard errors its accuracy must lie above chance."""
    min_gain: float = 0.0
    """Accuracy it must have beyond the champion's."""
    allow_partial: bool = False
    """Whether an evaluation limited to part of its items is evidence enough."""
    max_contaminated_share: float = 0.0
    """Largest part of a suite's items that the training mixture may overlap with."""


@dataclass(frozen=True, kw_only=True)
class RegistryParams:
    """Under which name runs are registered, and how one becomes champion."""

    model: str = "flan-sample"
    """Registered model that the runs are versions of."""
    artifacts: str = ""
    """Folder that keeps the weights of registered versions; empty: beside the database file, or
    .flanmoe/artifacts for a database server."""
    gates: GateParams = field(default_factory=GateParams)
