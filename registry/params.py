"""Parameters of the registry: `registry.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from registry.comparison.precision import MAX_ROUNDING_ERROR


@dataclass(frozen=True, kw_only=True)
class GateParams:
    """Conditions that a version must meet to become champion."""

    min_items: Annotated[int, Field(ge=0, le=2**31 - 1)] = 200
    """Minimum number of evaluation items."""
    min_standard_errors_above_chance: float = 2.0
    """Minimum distance of the accuracy from the random score, in standard errors."""
    min_gain: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """Minimum gain in accuracy over the champion."""
    allow_partial: bool = False
    """Whether an evaluation on a part of the items is sufficient."""
    max_contaminated_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Maximum share of a suite's items that may overlap with the training mixture."""
    min_self_test_recall: Annotated[float, Field(ge=0, le=1)] = 0.95
    """Minimum recall of the contamination check on each kind of verbatim planted overlaps."""
    min_self_test_precision: Annotated[float, Field(ge=0, le=1)] = 0.99
    """Minimum precision of the contamination check on planted overlaps and boilerplate."""
    max_rounding_error: Annotated[float, Field(ge=0, le=1)] = MAX_ROUNDING_ERROR
    """Maximum relative rounding error of an evaluation on another device or in another precision
    than the champion's. 1e-6 accepts float32 (6e-8), and rejects bfloat16 (4e-3)."""


@dataclass(frozen=True, kw_only=True)
class RegistryParams:
    """The registered model, the store of its artifacts, and its promotion gates."""

    model: Annotated[str, Field(min_length=1, max_length=200)] = "flan-sample"
    """Name of the registered model; every run becomes a version of it."""
    artifacts: str = ""
    """Artifact store: a folder, absolute or relative to the project, or an fsspec URL such as
    s3://bucket/folder (credentials come from the environment). Empty: beside the SQLite file, or
    .flanmoe/artifacts for a database server. A store belongs to a single registry."""
    gates: GateParams = field(default_factory=GateParams)
