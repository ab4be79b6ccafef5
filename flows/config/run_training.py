"""Training parameters of one run: `models.training`, merged with the run's overrides."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import TypeAdapter, ValidationError

from flows.config.keys import describe, unknown_keys
from flows.errors import InvalidParams
from models.params import ModelsParams
from models.training.params import TrainingParams


def training_params(models: ModelsParams, run: str) -> TrainingParams:
    """Return `models.training` merged with the overrides in `models.runs.RUN.training`.

    Raises:
        InvalidParams: the overrides have errors; one line per error.
    """
    overrides = models.runs[run].training
    where = f"models.runs.{run}.training"
    errors = unknown_keys(overrides, TrainingParams, where)
    if not errors:
        merged = _merge(dataclasses.asdict(models.training), overrides)
        try:
            return TypeAdapter(TrainingParams).validate_python(merged)
        except ValidationError as error:
            errors = [describe(detail, where) for detail in error.errors()]
    raise InvalidParams("\n".join(errors))


def _merge(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overrides.items():
        both_mappings = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both_mappings else value
    return merged
