"""Parameters in which two runs differ, with the values of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.schemas import RunRecordSchema

ABSENT = "not set"
"""Value of a parameter that only the other run has."""


@dataclass(frozen=True, kw_only=True)
class ParamDifference:
    """A parameter with two values, as text."""

    path: str
    """Such as `params.training.optim.lr` or `model.moe.num_experts`."""
    a: str
    b: str


def list_param_differences(a: RunRecordSchema, b: RunRecordSchema) -> list[ParamDifference]:
    """Return the parameters of training and of the model that differ, by path."""
    values_a, values_b = (
        dict(_flatten({"params": run.params, "model": run.model, "data": run.data}, ""))
        for run in (a, b)
    )
    return [
        ParamDifference(path=path, a=values_a.get(path, ABSENT), b=values_b.get(path, ABSENT))
        for path in sorted(values_a.keys() | values_b.keys())
        if values_a.get(path, ABSENT) != values_b.get(path, ABSENT)
    ]


def _flatten(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        return [
            entry
            for key, member in value.items()
            for entry in _flatten(member, f"{path}.{key}" if path else str(key))
        ]
    return [(path, "none" if value is None else str(value))]
