"""Rules for the values of params.yaml that hold for every key of a type.

A number is never `true` or `false`, and is finite; text such as '1e-4' is a number only where a
decimal is expected, because YAML 1.1 reads `1e-4` as text. A section is a mapping, never null. A
list has no empty and no repeated entry.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any

from flows.config.keys import without_none


def value_errors(value: Any, schema: Any, path: str) -> list[str]:
    """Return an error line for every value that breaks a rule of its type, at any depth.

    Args:
        value: parameters as plain data; keys without a field are ignored.
        schema: expected type of the value.
        path: dotted key of the value; "" at the top.
    """
    if value is None and without_none(schema) is not schema:
        return []
    schema = without_none(schema)
    origin = typing.get_origin(schema)
    if dataclasses.is_dataclass(schema) or origin is dict:
        return _mapping_errors(value, schema, path)
    if origin is tuple:
        return _list_errors(value, typing.get_args(schema)[0], path)
    if origin is typing.Annotated:
        return value_errors(value, typing.get_args(schema)[0], path)
    problem = _scalar_problem(value, schema)
    return [f"{path}: {as_yaml(value)} {problem}"] if problem else []


def as_yaml(value: Any) -> str:
    """Return a value as params.yaml has it: `null`, `true`, `.nan`, `'text'`."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}[str(value)]
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _mapping_errors(value: Any, schema: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        what = f"{path}: {as_yaml(value)}" if path else as_yaml(value)
        advice = "; write {} for the defaults" if value is None else ""
        return [f"{what} must be a mapping of keys to values{advice}"]
    if dataclasses.is_dataclass(schema):
        schema_by_key = typing.get_type_hints(schema, include_extras=True)
    else:
        schema_by_key = dict.fromkeys(value, typing.get_args(schema)[1])
    errors = []
    for key, item in value.items():
        where = f"{path}.{key}" if path else str(key)
        if not isinstance(key, str):
            errors.append(f"{where}: the key must be text; write it in quotes")
        elif key in schema_by_key:
            errors += value_errors(item, schema_by_key[key], where)
    return errors


def _list_errors(value: Any, schema: Any, path: str) -> list[str]:
    if not isinstance(value, list | tuple):
        return [f"{path}: {as_yaml(value)} must be a list; write [{as_yaml(value)}]"]
    errors = []
    for number, item in enumerate(value):
        if item == "":
            errors.append(f"{path}.{number}: '' is an empty entry; remove it")
        elif item in value[:number]:
            errors.append(f"{path}.{number}: {as_yaml(item)} is listed twice; remove one")
        else:
            errors += value_errors(item, schema, f"{path}.{number}")
    return errors


def _scalar_problem(value: Any, schema: Any) -> str:
    """Return what is wrong with a value of type int, float, bool or str; "" if nothing is."""
    if schema is bool:
        return "" if isinstance(value, bool) else "must be true or false"
    if schema is int:
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        return "" if is_integer else "must be a whole number"
    if schema is str:
        if not isinstance(value, str):
            return "must be text; write it in quotes"
        return "must be text without a NUL character" if "\0" in value else ""
    if schema is not float:
        return ""
    try:
        is_finite = not isinstance(value, bool) and math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        is_finite = False
    return "" if is_finite else "must be a finite number"
