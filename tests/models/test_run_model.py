"""The architecture of a run: its preset with changes."""

import dataclasses

import pytest

from models.errors import ConfigError
from models.presets import PRESETS
from models.run_model import change_config, configure_model
from models.training.params import RunParams


def test_configure_model_without_changes_is_the_preset():
    run = RunParams(preset="tiny_switch", start="scratch")
    assert configure_model(run) == PRESETS["tiny_switch"]


def test_configure_model_changes_the_values_that_are_named():
    run = RunParams(
        preset="tiny_switch", start="scratch", model={"d_ff": 40, "moe": {"num_experts": 4}}
    )
    config, switch = configure_model(run), PRESETS["tiny_switch"]
    moe = dataclasses.replace(switch.moe, num_experts=4)
    assert config == dataclasses.replace(switch, d_ff=40, moe=moe)


def test_change_config_adds_and_removes_experts():
    dense = change_config(PRESETS["tiny_switch"], {"moe": None})
    assert dense == PRESETS["tiny_dense"]
    assert change_config(dense, {"moe": {"num_experts": 8}}).moe.num_experts == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_modell": 8}, "'d_modell' is not one of .* did you mean 'd_model'"),
        ({"moe": {"experts": 4}}, "moe.'experts' is not one of "),
        ({"moe": 4}, "moe: 4 must be a mapping"),
        ({"d_ff": "wide"}, "d_ff: 'wide'"),
        ({"vocab_size": 64}, "vocab_size: it is the tokenizer's"),
        ({"d_ff": 0}, "d_ff is 0: it must be at least 1"),
    ],
)
def test_change_config_names_what_is_wrong(changes, message):
    with pytest.raises(ConfigError, match=message):
        change_config(PRESETS["tiny_switch"], changes)
