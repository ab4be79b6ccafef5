"""`dvc exp run -S` sets every parameter of the schema, with `+` where the file has no value."""

import dataclasses
import json
import typing
from functools import reduce

import pytest
from dvc.utils.hydra import apply_overrides

from flows.config.keys import without_none
from flows.config.load import parse_params, read_params
from flows.config.schema import Params
from tests.factories import ROOT

FILE = read_params(ROOT / "params.yaml")


def leaves(schema, path=()):
    """Yield the path and the default of every parameter; each run of params.yaml has its own."""
    hints = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        hint, key = without_none(hints[field.name]), (*path, field.name)
        arguments = typing.get_args(hint)
        if dataclasses.is_dataclass(hint):
            yield from leaves(hint, key)
        elif typing.get_origin(hint) is dict and dataclasses.is_dataclass(arguments[1]):
            for name in value_at(key)[0] or ():
                yield from leaves(arguments[1], (*key, name))
        else:
            yield key, default(field)


def default(field):
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None


def value_at(path):
    """Return the value in params.yaml, and whether it has one."""
    value = FILE
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None, False
        value = value[key]
    return value, True


def parameters():
    for path, field_default in leaves(Params):
        value, is_present = value_at(path)
        if not is_present:
            value = json.loads(json.dumps(field_default))  # tuples become lists
        yield ".".join(path), value, is_present


def in_hydra(value):
    """Write a value in the grammar of `-S`: strings in quotes, keys of mappings without."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{in_hydra(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(in_hydra, value)) + "]"
    return json.dumps(value)


def test_every_parameter_can_be_set_to_its_value_or_default(tmp_path):
    """A file with the values that apply anyway is valid and means the same."""
    target = tmp_path / "params.yaml"
    target.write_text((ROOT / "params.yaml").read_text())
    settings = list(parameters())
    assert len(settings) > 100
    apply_overrides(
        target,
        [f"{'' if present else '+'}{name}={in_hydra(value)}" for name, value, present in settings],
    )
    data = read_params(target)
    actual = {name: reduce(dict.__getitem__, name.split("."), data) for name, *_ in settings}
    # YAML 1.1, which flanmoe reads, takes 1e-06 for text; parameters accept it.
    assert {name: str(value) for name, value in actual.items()} == {
        name: str(value) for name, value, _ in settings
    }
    expected = parse_params(read_params(ROOT / "params.yaml"), "params.yaml", ROOT)
    assert parse_params(data, "params.yaml", ROOT) == expected


def test_a_key_that_the_file_does_not_have_needs_a_plus(tmp_path):
    from dvc.exceptions import InvalidArgumentError

    target = tmp_path / "params.yaml"
    target.write_text((ROOT / "params.yaml").read_text())
    with pytest.raises(InvalidArgumentError):
        apply_overrides(target, ["flows.retries=5"])
    apply_overrides(target, ["+flows.retries=5", "models.training.optim.lr=1e-3"])
    params = parse_params(read_params(target), "params.yaml", ROOT)
    assert params.flows.retries == 5
    assert params.models.training.optim.lr == 1e-3
