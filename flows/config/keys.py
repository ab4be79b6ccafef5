"""Error lines for single keys of params.yaml: the key, the value, what is allowed, a suggestion."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from typing import Any

from data_pipelines.suggestions import did_you_mean
from flows.config.renamed_keys import advice_on_key, new_name, replacement

_BOUNDS = {
    "greater_than": "must be above {}",
    "greater_than_equal": "must be at least {}",
    "less_than": "must be below {}",
    "less_than_equal": "must be at most {}",
}
"""Type of pydantic's error -> problem in the words of an error line."""
_FIELD = re.compile(r"[a-z_]\w*(\.\w+)*: ")


def unknown_keys(data: Any, schema: Any, path: str) -> list[str]:
    """Return an error line for every key without a field in the schema, at any depth.

    Args:
        data: parameters as plain data.
        schema: expected type of the data: a dataclass, a dict of dataclasses, or optional.
        path: dotted key of the data; "" at the top.
    """
    schema = without_none(schema)
    if not isinstance(data, dict):
        return []
    if dataclasses.is_dataclass(schema):
        hints = typing.get_type_hints(schema)
        errors = []
        for key, value in data.items():
            where = f"{path}.{key}" if path else str(key)
            if key in hints:
                errors += unknown_keys(value, hints[key], where)
            elif renamed := new_name(where):
                errors.append(f"{where}: unknown key; renamed to {renamed!r}")
            elif advice := advice_on_key(where):
                errors.append(f"{where}: unknown key; {advice}")
            else:
                hint = did_you_mean(str(key), hints)
                errors.append(f"{where}: unknown key; {hint}allowed: {', '.join(hints)}")
        return errors
    arguments = typing.get_args(schema)
    if typing.get_origin(schema) is dict and dataclasses.is_dataclass(arguments[1]):
        return [
            error
            for key, value in data.items()
            for error in unknown_keys(value, arguments[1], f"{path}.{key}")
        ]
    return []


def without_none(schema: Any) -> Any:
    """Return `X` for `X | None`; any other type, `X | Y` among them, without None."""
    if typing.get_origin(schema) in (types.UnionType, typing.Union):
        others = tuple(arg for arg in typing.get_args(schema) if arg is not type(None))
        return typing.Union[others]  # noqa: UP007
    return schema


def describe(detail: Any, path: str = "") -> str:
    """Describe an error of pydantic in one line.

    Args:
        detail: an entry of `ValidationError.errors()`.
        path: dotted key of the validated part; "" for all parameters.
    """
    # pydantic marks an error of a mapping's key by "[key]" after the key itself.
    location = [str(part) for part in detail["loc"] if part != "[key]"]
    where = ".".join(filter(None, [path, *location]))
    if detail["type"] == "missing":
        return f"{where}: is missing"
    if detail["type"] == "literal_error":
        removed = replacement(where, detail["input"])
        if removed is not None:
            return f"{where}: {detail['input']!r} was removed: {removed}"
        return f"{where}: {_describe_choice(detail)}"
    if detail["type"] in ("value_error", "dataclass_type"):
        text = detail["msg"].removeprefix("Value error, ")
        # A message that starts with a field, "port: 0 is out of range", completes the key.
        separator = "." if _FIELD.match(text) else ": "
        return f"{where}{separator}{text}" if where else text
    if detail["type"] in _BOUNDS:
        return f"{where}: {detail['input']!r} {_describe_bound(detail)}"
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return f"{where}: {detail['input']!r}: {message}"


def _describe_bound(detail: Any) -> str:
    (bound,) = detail["ctx"].values()
    return _BOUNDS[detail["type"]].format(int(bound) if bound == int(bound) else bound)


def _describe_choice(detail: Any) -> str:
    # pydantic lists the choices as text: "'native', 'tutel' or 'fairscale'".
    choices = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
    hint = did_you_mean(str(detail["input"]), choices).rstrip("? ")
    suggestion = f"; {hint}?" if hint else ""
    return f"{detail['input']!r} is not one of {', '.join(choices)}{suggestion}"
