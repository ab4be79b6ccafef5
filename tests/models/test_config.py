import pytest
import torch

from models.architecture.moe.routers.checks import ROUTER_CHOICES, check_routers
from models.architecture.moe.routers.table import ROUTERS
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.errors import ConfigError, UnknownModel
from models.presets import PRESETS, preset

SIZES = {"vocab_size": 8, "d_model": 8, "d_ff": 8, "num_heads": 1, "d_kv": 8, "num_layers": 2}


@pytest.mark.parametrize("name", PRESETS)
def test_config_survives_its_json_form(name):
    assert ModelConfig.from_dict(preset(name).to_dict()) == preset(name)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"d_model": 0}, "d_model is 0"),
        ({"activation": "swish"}, "'swish'"),
        ({"moe": MoEConfig(num_experts=1)}, "at least 2"),
        ({"moe": MoEConfig(num_experts=4, top_k=5)}, "k is 5"),
        ({"moe": MoEConfig(num_experts=4, moe_every=3)}, "every is 3"),
        ({"moe": MoEConfig(num_experts=4, capacity_factor_train=0)}, "capacity_factor_train is 0"),
        ({"moe": MoEConfig(num_experts=4, decoder_top_k=5)}, "decoder_top_k is 5"),
        ({"moe": MoEConfig(num_experts=4, group_rows=0)}, "group_rows is 0"),
        ({"moe": MoEConfig(num_experts=4, min_capacity=0)}, "min_capacity is 0"),
        ({"moe": MoEConfig(num_experts=4, jitter=1.0)}, "jitter is 1"),
        ({"moe": MoEConfig(num_experts=4, z_loss_weight=-1.0)}, "z_loss is -1"),
    ],
)
def test_impossible_sizes_are_refused_by_name(changes, told):
    with pytest.raises(ConfigError, match=told):
        ModelConfig(**{**SIZES, **changes})


def test_unknown_preset_names_the_nearest():
    with pytest.raises(UnknownModel, match="did you mean 'tiny_switch'"):
        preset("tiny_swich")


def test_unknown_key_is_refused():
    with pytest.raises(ConfigError, match="d_modle"):
        ModelConfig.from_dict({**SIZES, "d_modle": 3})


def test_router_names_and_table_agree():
    assert set(ROUTERS) == set(ROUTER_CHOICES)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_built(name):
    check_routers(preset(name))
    with torch.device("meta"):
        T5(preset(name))


@pytest.mark.parametrize(
    ("moe", "told"),
    [
        ({"router": "swich"}, "did you mean 'switch'"),
        ({"k": 2}, "moe.top_k is 2: the switch router"),
        ({"router": "gshard"}, "moe.top_k is 1: the gshard router"),
        ({"router": "expert_choice"}, "look at tokens not yet written; set moe.decoder_router"),
        ({"decoder_router": "expert_choice"}, "moe.router is 'expert_choice'"),
        ({"decoder_router": "st_moe"}, "moe.decoder_top_k is 1"),
    ],
)
def test_routers_that_cannot_serve_are_refused_by_name(moe, told):
    with pytest.raises(ConfigError, match=told):
        check_routers(ModelConfig(**SIZES, moe=MoEConfig(num_experts=4, **moe)))


def test_published_sizes():
    moe = preset("st_32b").moe
    assert (moe.num_experts, moe.top_k, moe.dense_residual, moe.z_loss_weight) == (
        64,
        2,
        True,
        1e-3,
    )
    # REFERENCE: MoE layers per stack.
    layers = {n: len(c.moe_layers()) for n, c in PRESETS.items() if c.moe and "tiny" not in n}
    assert layers == {
        "switch_base": 6, "switch_large": 12, "switch_xxl": 12, "switch_c": 15,
        "st_base": 3, "st_xl": 6, "st_32b": 6, "gs_base": 6, "gs_large": 12,
        "ec_small": 4, "ec_base": 6, "ec_large": 12, "ec_xl": 12,
    }  # fmt: skip
