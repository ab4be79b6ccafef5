"""Read params.yaml into `Params`; every error is reported with its key before any work starts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from flows.config.checks import cross_field_errors
from flows.config.keys import describe, unknown_keys
from flows.config.recipes import with_recipe
from flows.config.schema import Params
from flows.config.values import value_errors
from flows.config.yaml_file import parse_yaml
from flows.errors import InvalidParams


def load_params(path: Path) -> Params:
    """Read and validate a params file.

    Raises:
        InvalidParams: the file cannot be read, or has errors; one line per error.
    """
    return parse_params(read_params(path), path.name, path.parent)


def read_params(path: Path) -> dict[str, Any]:
    """Return the file as plain data.

    Raises:
        InvalidParams: the file is missing or is not a YAML mapping.
    """
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidParams(f"{path} is missing") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InvalidParams(f"{path} is not YAML: {reason}") from None
    if not isinstance(data, dict):
        raise InvalidParams(f"{path} must be a mapping of keys to values")
    return data


def apply_overrides(data: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Set each `path.to.key=value` of `--set` in the data and return it; values are YAML.

    Raises:
        InvalidParams: an assignment has no key or no `=`, or its path continues below a value
            that is not a mapping.
    """
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise InvalidParams(f"--set {assignment!r}: write it as path.to.key=value")
        *parents, key = path.split(".")
        section = data
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise InvalidParams(f"--set {assignment!r}: {parent} is a value, it has no keys")
        try:
            section[key] = parse_yaml(text)
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            raise InvalidParams(f"--set {assignment!r}: the value is not YAML: {reason}") from None
    return data


def parse_params(data: dict[str, Any], source: str, root: Path) -> Params:
    """Validate parameters: keys, types, and conflicts between them.

    Args:
        data: the parameters as plain data.
        source: name of the file, the start of each error line.
        root: the project; a run may start from imported weights in `runs/NAME/weights` below it.

    Raises:
        InvalidParams: with all errors, one line each.
    """
    errors = unknown_keys(data, Params, "") + value_errors(data, Params, "")
    if not errors:
        try:
            params = _adapter().validate_python(_with_recipe(data))
        except ValidationError as error:
            errors = [describe(detail) for detail in error.errors()]
        else:
            errors = cross_field_errors(params, root)
            if not errors:
                return params
    raise InvalidParams("\n".join(f"{source}: {error}" for error in errors))


def _with_recipe(data: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with the recipe of `models.training` applied."""
    models = data.get("models")
    training = models.get("training") if isinstance(models, dict) else None
    if not isinstance(models, dict) or not isinstance(training, dict):
        return data
    return {**data, "models": {**models, "training": with_recipe(training)}}


@cache
def _adapter() -> TypeAdapter[Params]:
    return TypeAdapter(Params)
