"""Error lines of single keys, as pydantic's errors are described."""

from dataclasses import dataclass, field
from typing import Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from flows.config.keys import describe, unknown_keys


@dataclass(frozen=True, kw_only=True)
class BackendParams:
    """A part of the schema below."""

    dispatch: Literal["native", "tutel", "fairscale"] = "native"
    nodes: int = 1
    size: int | None = None

    def __post_init__(self):
        if self.nodes < 1:
            raise ValueError("nodes must be at least 1")
        if self.size == 0:
            raise ValueError("size: 0 is out of range")


@dataclass(frozen=True, kw_only=True)
class SchemaParams:
    """A schema with required, optional and named parts."""

    name: str
    backend: BackendParams | None = None
    runs: dict[str, BackendParams] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"name": "a", "backend": {"dispatch": "nativ"}},
            "backend.dispatch: 'nativ' is not one of native, tutel, fairscale; "
            "did you mean 'native'?",
        ),
        (
            {"name": "a", "backend": {"dispatch": "zzz"}},
            "backend.dispatch: 'zzz' is not one of native, tutel, fairscale",
        ),
        (
            {"name": "a", "runs": {"x": {"dispatch": 3}}},
            "runs.x.dispatch: 3 is not one of native, tutel, fairscale",
        ),
        ({}, "name: is missing"),
        ({"name": "a", "backend": {"nodes": 0}}, "backend: nodes must be at least 1"),
        ({"name": "a", "backend": {"size": 0}}, "backend.size: 0 is out of range"),
        (
            {"name": "a", "backend": {"nodes": "many"}},
            "backend.nodes: 'many': input should be a valid integer, unable to parse string as an "
            "integer",
        ),
    ],
)
def test_describe_error_is_a_line_with_key_value_and_choices(data, expected):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(SchemaParams).validate_python(data)
    assert [describe(detail) for detail in caught.value.errors()] == [expected]
    (detail,) = caught.value.errors()
    assert describe(detail, "part") == f"part.{expected}"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"nam": 1}, ["nam: unknown key; did you mean 'name'? allowed: name, backend, runs"]),
        ({"zzz": 1}, ["zzz: unknown key; allowed: name, backend, runs"]),
        (
            {"backend": {"node": 1}},
            ["backend.node: unknown key; did you mean 'nodes'? allowed: dispatch, nodes, size"],
        ),
        (
            {"runs": {"x": {"node": 1}, "y": {"nodes": 1}}},
            ["runs.x.node: unknown key; did you mean 'nodes'? allowed: dispatch, nodes, size"],
        ),
        ({"name": {"any": 1}}, []),
        ({"backend": None, "runs": []}, []),
    ],
)
def test_unknown_keys_at_any_depth_are_reported(data, expected):
    assert unknown_keys(data, SchemaParams, "") == expected
