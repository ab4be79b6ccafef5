import pytest

from models.config import ModelConfig
from models.errors import ConfigError
from tests.models.factories import CONFIG_0_1_0

DENSE = ModelConfig(
    vocab_size=1024,
    d_model=128,
    d_ff=256,
    num_heads=4,
    d_kv=32,
    num_layers=2,
    activation="relu",
)
"""The dense model of CONFIG_0_1_0, with the field names of today."""


def test_from_dict_reads_release_0_1_0_with_its_conventions():
    config = ModelConfig.from_dict(CONFIG_0_1_0)
    assert config.dense_twin() == DENSE
    moe = config.moe
    assert (moe.router, moe.decoder_router, moe.decoder_top_k) == ("expert_choice", "st_moe", 2)
    assert (moe.capacity_factor_train, moe.group_rows) == (1.0, 1)
    assert (moe.capacity_per, moe.router_loss_reduction) == ("assignment", "sum")


def test_from_dict_maps_every_renamed_field_to_its_value():
    moe = {**CONFIG_0_1_0["moe"], "every": 1, "k": 3, "decoder_k": 4}
    moe |= {"balance_loss": 0.5, "z_loss": 0.25}
    sizes = {"tie_logits": True, "relative_buckets": 16, "relative_max_distance": 64}
    config = ModelConfig.from_dict({**CONFIG_0_1_0, **sizes, "moe": moe})
    assert (config.moe.moe_every, config.moe.top_k, config.moe.decoder_top_k) == (1, 3, 4)
    assert (config.moe.load_balance_loss_weight, config.moe.z_loss_weight) == (0.5, 0.25)
    assert config.tie_word_embeddings
    assert config.relative_attention_num_buckets == 16
    assert config.relative_attention_max_distance == 64


def test_from_dict_rejects_the_dense_layer_beside_the_experts():
    moe = {**CONFIG_0_1_0["moe"], "dense_beside": True}
    with pytest.raises(
        ConfigError, match=r"dense layer beside its experts .*; train the run again"
    ):
        ModelConfig.from_dict({**CONFIG_0_1_0, "moe": moe})


def test_from_dict_reads_a_dense_model_of_release_0_1_0():
    assert ModelConfig.from_dict({**CONFIG_0_1_0, "moe": None}) == DENSE


def test_from_dict_rejects_a_key_of_no_release():
    with pytest.raises(ConfigError, match="balance"):
        ModelConfig.from_dict({**CONFIG_0_1_0, "moe": {**CONFIG_0_1_0["moe"], "balance": 0.1}})
