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
    settings = (moe.num_experts, moe.top_k, moe.dense_residual, moe.z_loss_weight)
    assert settings == (64, 2, True, 1e-3)


def test_presets_have_the_published_number_of_moe_layers_per_stack():
    layers = {n: len(c.moe_layers()) for n, c in PRESETS.items() if c.moe and "tiny" not in n}
    assert layers == {
        "switch_base": 6, "switch_large": 12, "switch_xxl": 12, "switch_c": 15,
        "st_base": 3, "st_xl": 6, "st_32b": 6, "gs_base": 6, "gs_large": 12,
        "ec_small": 4, "ec_base": 6, "ec_large": 12, "ec_xl": 12,
    }  # fmt: skip
