"""Training parameters of one run: `models.training`, merged with the run's overrides."""

from __future__ import annotations

import dataclasses

from pydantic import TypeAdapter, ValidationError

from flows.config.keys import describe, unknown_keys
from flows.config.recipes import merge, with_recipe
from flows.config.values import value_errors
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
    errors += value_errors(overrides, TrainingParams, where)
    if not errors:
        merged = merge(dataclasses.asdict(models.training), with_recipe(overrides))
        try:
            return TypeAdapter(TrainingParams).validate_python(merged)
        except ValidationError as error:
            errors = [describe(detail, where) for detail in error.errors()]
    raise InvalidParams("\n".join(errors))
