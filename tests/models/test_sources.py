import dataclasses

import pytest

from models.config import ModelConfig, MoEConfig
from models.presets import PRESETS
from models.sources import FAMILY_SOURCES, FIELD_SOURCES, PROJECT, sourced_values

SIZES = {"vocab_size", "d_model", "d_ff", "num_heads", "d_kv", "num_layers"}


def test_every_convention_has_an_entry():
    fields = {f.name for f in dataclasses.fields(ModelConfig)} - SIZES - {"moe"}
    fields |= {f"moe.{f.name}" for f in dataclasses.fields(MoEConfig)}
    assert set(FIELD_SOURCES) == fields


@pytest.mark.parametrize("name", PRESETS)
def test_every_field_of_a_preset_has_a_source(name):
    values = {value.field: value for value in sourced_values(name)}
    assert values["d_model"].value == PRESETS[name].d_model
    assert all(value.source for value in values.values())
    assert ("moe.router" in values) == (PRESETS[name].moe is not None)


def test_only_the_tiny_presets_are_of_this_project():
    assert {n.split("_")[0] for n in PRESETS} == set(FAMILY_SOURCES)
    for name in PRESETS:
        sources = {value.source for value in sourced_values(name)}
        assert (PROJECT in sources) == name.startswith("tiny"), name
