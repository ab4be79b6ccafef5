import pytest

from models.config import ModelConfig, MoEConfig
from models.errors import ConfigError
from models.presets import PRESETS, preset
from tests.models.factories import TINY_SIZES, tiny_config


@pytest.mark.parametrize("name", PRESETS)
def test_from_dict_inverts_to_dict(name):
    assert ModelConfig.from_dict(preset(name).to_dict()) == preset(name)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"d_model": 0}, "d_model is 0"),
        ({"activation": "swish"}, "activation: 'swish' is not one of relu, gated_gelu"),
        ({"moe": MoEConfig(num_experts=1)}, "at least 2"),
        (
            {"moe": MoEConfig(num_experts=4, router="swich")},
            "moe.router: 'swich' is not one of switch, gshard, .*; did you mean 'switch'?",
        ),
        (
            {"moe": MoEConfig(num_experts=4, decoder_router="st_mo")},
            "moe.decoder_router: 'st_mo' .* did you mean 'st_moe'?",
        ),
        ({"moe": MoEConfig(num_experts=4, top_k=5)}, r"moe\.top_k is 5"),
        ({"moe": MoEConfig(num_experts=4, moe_every=3)}, r"moe\.moe_every is 3"),
        ({"moe": MoEConfig(num_experts=4, capacity_factor_train=0)}, "capacity_factor_train is 0"),
        ({"moe": MoEConfig(num_experts=4, decoder_top_k=5)}, "decoder_top_k is 5"),
        ({"moe": MoEConfig(num_experts=4, group_rows=0)}, "group_rows is 0"),
        ({"moe": MoEConfig(num_experts=4, min_capacity=0)}, "min_capacity is 0"),
        ({"moe": MoEConfig(num_experts=4, jitter=1.0)}, "jitter is 1"),
        ({"moe": MoEConfig(num_experts=4, z_loss_weight=-1.0)}, "z_loss_weight is -1"),
    ],
)
def test_config_with_an_invalid_value_is_rejected_by_name(overrides, message):
    with pytest.raises(ConfigError, match=message):
        tiny_config(**overrides)


def test_from_dict_rejects_an_unknown_key():
    with pytest.raises(ConfigError, match="d_modle"):
        ModelConfig.from_dict({**TINY_SIZES, "d_modle": 3})
