"""What is wrong with a key of params.yaml: its path, what is allowed, the nearest name."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from typing import Any

from flows.config.renamed_keys import new_name


def unknown_keys(data: Any, kind: Any, path: str) -> list[str]:
    """Keys of the data that no field stands for, at any depth."""
    kind = _inner(kind)
    if not isinstance(data, dict):
        return []
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        found = []
        for key, value in data.items():
            where = f"{path}.{key}" if path else str(key)
            if key not in hints:
                renamed = new_name(where)
                if renamed is not None:
                    found.append(f"{where}: unknown key; renamed to {renamed!r}")
                    continue
                near = difflib.get_close_matches(str(key), hints, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                found.append(f"{where}: unknown key; {hint}allowed: {', '.join(hints)}")
            else:
                found += unknown_keys(value, hints[key], where)
        return found
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is dict and dataclasses.is_dataclass(arguments[1]):
        return [p for k, v in data.items() for p in unknown_keys(v, arguments[1], f"{path}.{k}")]
    return []


def _inner(kind: Any) -> Any:
    """`X` of `X | None`."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return next(arg for arg in typing.get_args(kind) if arg is not type(None))
    return kind


def describe(problem: Any, below: str = "") -> str:
    """A line for one of pydantic's errors, in a part of the file that lies `below` a key."""
    where = ".".join(filter(None, [below, *(str(part) for part in problem["loc"])]))
    if problem["type"] == "missing":
        return f"{where}: is missing"
    if problem["type"] in ("value_error", "dataclass_type"):
        text = problem["msg"].removeprefix("Value error, ")
        return f"{where}: {text}" if where else text
    message = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{where}: {problem['input']!r}: {message}"
