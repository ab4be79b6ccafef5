"""Hugging Face configurations that have no counterpart here."""

import pytest

from models.errors import ConfigError
from models.interchange.configuration import from_hf_config

SWITCH = {
    "model_type": "switch_transformers",
    "vocab_size": 64,
    "d_model": 16,
    "d_ff": 32,
    "d_kv": 8,
    "num_heads": 2,
    "num_layers": 4,
    "num_decoder_layers": 4,
    "num_experts": 4,
    "num_sparse_encoder_layers": 2,
    "num_sparse_decoder_layers": 2,
}


def test_from_hf_config_switch_has_experts_in_every_second_layer():
    config = from_hf_config(SWITCH, separate_head=True)
    assert config.moe is not None
    assert (config.moe.num_experts, config.moe.moe_every) == (4, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_sparse_decoder_layers": None}, "num_sparse_decoder_layers is None"),
        ({"num_sparse_decoder_layers": 1}, "num_sparse_decoder_layers is 1"),
        ({"router_bias": True}, "router_bias is True"),
        ({"num_decoder_layers": 2}, "num_decoder_layers is 2"),
        ({"model_type": "bert"}, "'bert'"),
    ],
)
def test_from_hf_config_unsupported_field_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        from_hf_config({**SWITCH, **changes}, separate_head=True)


def test_from_hf_config_missing_field_is_named():
    hf_config = {k: v for k, v in SWITCH.items() if k != "num_sparse_decoder_layers"}
    with pytest.raises(ConfigError, match="num_sparse_decoder_layers is None"):
        from_hf_config(hf_config, separate_head=True)
