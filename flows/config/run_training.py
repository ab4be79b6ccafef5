"""How one run is trained: `models.training`, with what the run itself says otherwise."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import TypeAdapter, ValidationError

from flows.config.keys import describe, unknown_keys
from flows.errors import InvalidParams
from models.params import ModelsParams
from models.training.params import TrainingParams


def training_of(models: ModelsParams, name: str) -> TrainingParams:
    """Raises InvalidParams with every problem, one a line, below `models.runs.NAME.training`."""
    changes = models.runs[name].training
    where = f"models.runs.{name}.training"
    problems = unknown_keys(changes, TrainingParams, where)
    if not problems:
        merged = _merge(dataclasses.asdict(models.training), changes)
        try:
            return TypeAdapter(TrainingParams).validate_python(merged)
        except ValidationError as error:
            problems = [describe(problem, where) for problem in error.errors()]
    raise InvalidParams("\n".join(problems))


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
