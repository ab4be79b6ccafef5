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
        ({"init_scale": 0.0}, "init_scale is 0"),
        ({"dropout": 1.0}, "dropout is 1"),
        ({"moe": MoEConfig(num_experts=4, group_tokens=0)}, "group_tokens is 0"),
        (
            {"moe": MoEConfig(num_experts=4, group_tokens=8, group_rows=1)},
            "moe.group_rows is 1 and moe.group_tokens 8: .*; set one of them",
        ),
        (
            {"moe": MoEConfig(num_experts=4, capacity_per="tokn")},
            "moe.capacity_per: 'tokn' is not one of token, assignment; did you mean 'token'?",
        ),
        (
            {"moe": MoEConfig(num_experts=4, decoder_capacity_factor_eval="same")},
            "moe.decoder_capacity_factor_eval is 'same': expected a number, null, encoder",
        ),
        (
            {"moe": MoEConfig(num_experts=4, decoder_capacity_factor_train=0)},
            "_train is 0",
        ),
        ({"moe": MoEConfig(num_experts=4, second_expert_threshold=-0.1)}, "threshold is -0.1"),
    ],
)
def test_config_with_an_invalid_value_is_rejected_by_name(overrides, message):
    with pytest.raises(ConfigError, match=message):
        tiny_config(**overrides)


def test_stack_moe_config_applies_the_overrides_of_the_decoder():
    moe = MoEConfig(
        num_experts=4, router="expert_choice", decoder_router="gshard", decoder_top_k=2,
        capacity_factor_eval=1.0, decoder_capacity_factor_train=2.5,
        decoder_capacity_factor_eval=None, load_balance_loss_weight=0.0,
        decoder_load_balance_loss_weight=0.5,
    )  # fmt: skip
    config = tiny_config(moe=moe)
    encoder, decoder = (config.stack_moe_config(decoder=decoder) for decoder in (False, True))
    assert (encoder.router, encoder.top_k, decoder.router, decoder.top_k) == (
        "expert_choice", 1, "gshard", 2,
    )  # fmt: skip
    assert (encoder.capacity_factor_train, encoder.capacity_factor_eval) == (1.25, 1.0)
    assert (decoder.capacity_factor_train, decoder.capacity_factor_eval) == (2.5, None)
    assert (encoder.load_balance_loss_weight, decoder.load_balance_loss_weight) == (0.0, 0.5)


def test_from_dict_rejects_an_unknown_key():
    with pytest.raises(ConfigError, match="d_modle"):
        ModelConfig.from_dict({**TINY_SIZES, "d_modle": 3})
