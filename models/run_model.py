"""The architecture of a run: its preset with the changes of `models.runs.NAME.model`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models.choices import invalid_choice
from models.config import ModelConfig, MoEConfig
from models.errors import ConfigError
from models.presets import preset
from models.training.params import RunParams


def configure_model(run: RunParams) -> ModelConfig:
    """Return the configuration of a run's preset with the run's changes.

    Raises:
        UnknownModel: no preset has this name.
        ConfigError: a change has an unknown key or an invalid value.
    """
    return change_config(preset(run.preset), run.model)


def change_config(config: ModelConfig, changes: Mapping[str, Any]) -> ModelConfig:
    """Return a configuration with other values.

    Args:
        config: the configuration to start from.
        changes: values by field; `moe` is a mapping of its own, or None for a dense model. A dense
            configuration becomes an MoE with at least `moe.num_experts`.

    Raises:
        ConfigError: a key is unknown, or a value is invalid.
    """
    _check_keys(changes, ModelConfig, "")
    if "vocab_size" in changes:
        raise ConfigError("vocab_size: it is the tokenizer's; remove it")
    values = dataclasses.asdict(config) | dict(changes)
    moe_changes = changes.get("moe")
    if moe_changes is not None:
        _check_keys(moe_changes, MoEConfig, "moe.")
        values["moe"] = (dataclasses.asdict(config)["moe"] or {}) | dict(moe_changes)
    try:
        return TypeAdapter(ModelConfig).validate_python(values)
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise ConfigError(f"{where}: {detail['input']!r}: {detail['msg']}") from None


def _check_keys(changes: object, schema: type, prefix: str) -> None:
    if not isinstance(changes, Mapping):
        raise ConfigError(f"{prefix.rstrip('.') or 'model'}: {changes!r} must be a mapping")
    names = [field.name for field in dataclasses.fields(schema)]
    for key in changes:
        if key not in names:
            raise ConfigError(f"{prefix}{invalid_choice(str(key), names)}")
