import pytest
import torch

from models.architecture.t5 import T5
from models.errors import UnknownModel
from models.presets import PRESETS, preset


def test_unknown_preset_is_rejected_with_the_closest_name():
    with pytest.raises(UnknownModel, match=r"'tiny_swich' is not .*; did you mean 'tiny_switch'"):
        preset("tiny_swich")


@pytest.mark.parametrize("name", PRESETS)
def test_model_of_every_preset_can_be_built(name):
    with torch.device("meta"):
        T5(preset(name))


def test_st_32b_has_the_published_moe_settings():
    moe = preset("st_32b").moe
    settings = (moe.num_experts, moe.top_k, moe.dense_after_moe, moe.z_loss_weight)
    assert settings == (64, 2, True, 1e-3)


def test_presets_have_the_published_number_of_moe_layers_per_stack():
    layers = {n: len(c.moe_layers()) for n, c in PRESETS.items() if c.moe and "tiny" not in n}
    assert layers == {
        "switch_base": 6, "switch_large": 12, "switch_xxl": 12, "switch_c": 15,
        "st_base": 3, "st_xl": 6, "st_32b": 6, "gs_base": 6, "gs_large": 12,
        "ec_small": 4, "ec_base": 6, "ec_large": 12, "ec_xl": 12,
    }  # fmt: skip


def test_presets_have_the_published_conventions():
    """The configuration files of google/flaxformer, as listed by family in its gin files."""
    published = {n: c for n, c in PRESETS.items() if c.moe and "tiny" not in n}
    assert {c.init_scale for c in published.values()} == {0.1}
    assert {c.moe.capacity_per for c in published.values()} == {"token"}
    assert {c.moe.router_loss_reduction for c in published.values()} == {"mean"}
    assert {n: c.moe.group_tokens for n, c in published.items() if c.moe.group_tokens != 4096} == {
        "switch_base": 8192, "switch_c": 2048, "st_xl": 1024,
    }  # fmt: skip
    assert {n for n, c in published.items() if c.moe.min_capacity == 2} == {
        "switch_xxl",
        "switch_c",
    }
    assert {n for n, c in published.items() if c.tie_word_embeddings} == {
        "switch_base", "switch_large",
    }  # fmt: skip
    for name, config in published.items():
        encoder, decoder = (config.stack_moe_config(decoder=d) for d in (False, True))
        family = name.split("_")[0]
        weight = 0.0 if family == "ec" else 0.01
        assert (encoder.load_balance_loss_weight, decoder.load_balance_loss_weight) == (
            weight,
            0.01,
        )
        choices = "all" if family in ("st", "ec") else "first"
        assert config.moe.load_balance_loss_choices == choices, name
        assert config.moe.dense_after_moe == (family == "st"), name
