import pytest
import torch

from models.config import ModelConfig, MoEConfig
from models.errors import ConfigError
from models.interchange.upcycling import upcycle, upcycle_folder
from models.training.chain import ChainRun, TrainingChain
from models.weights import load_weights, save_weights
from models.weights_config import WeightsConfig
from tests.models.interchange.factories import (
    SIZES,
    random_batch,
    random_model,
    save_model,
    spiece_bytes,
)


@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
@pytest.mark.parametrize("dense_after_moe", [False, True])
@pytest.mark.parametrize("router", ["gshard", "st_moe"])
def test_upcycled_model_with_normalised_gates_has_the_same_logits(
    activation, dense_after_moe, router, tmp_path
):
    dense = random_model(activation=activation)
    moe = MoEConfig(
        num_experts=4,
        router=router,
        top_k=2,
        normalize_gates=True,
        capacity_factor_eval=None,
        dense_after_moe=dense_after_moe,
    )
    config = ModelConfig(**{**SIZES, "vocab_size": 7}, activation=activation, moe=moe)
    save_model(tmp_path / "dense", dense)
    upcycle_folder(tmp_path / "dense", config, tmp_path / "moe", seed=3)
    upcycled = load_weights(tmp_path / "moe")
    assert upcycled.tokenizer_sha256 == load_weights(tmp_path / "dense").tokenizer_sha256
    assert (tmp_path / "moe/spiece.model").read_bytes() == spiece_bytes()
    assert upcycled.model.config.moe == moe
    tokens, target = random_batch()
    inputs = (tokens, (tokens > 0).long(), target, torch.ones_like(target))
    with torch.no_grad():
        torch.testing.assert_close(
            upcycled.model.eval()(*inputs), dense(*inputs), atol=1e-4, rtol=1e-4
        )


def test_upcycled_folder_has_the_training_chain_of_the_dense_weights(tmp_path):
    run = ChainRun(
        name="dense", preset="p", data="train", data_version="d", tasks=[], steps=3, seed=0,
        global_batch_size=2, training_flops=12,
    )  # fmt: skip
    chain = TrainingChain(origin="scratch", runs=[run])
    config = ModelConfig(**{**SIZES, "vocab_size": 7}, moe=MoEConfig(num_experts=4))
    for name, expected in (("trained", chain), ("imported", None)):
        dense = tmp_path / f"{name}_dense"
        save_weights(dense, random_model(), "abc", chain=expected)
        upcycle_folder(dense, config, tmp_path / name, seed=3)
        upcycled, source = WeightsConfig.read(tmp_path / name), WeightsConfig.read(dense)
        assert upcycled.chain == source.chain
    assert WeightsConfig.read(tmp_path / "trained").chain.training_flops == 12
    assert WeightsConfig.read(tmp_path / "imported").chain.training_flops is None


def test_upcycle_rejects_other_sizes():
    config = ModelConfig(**{**SIZES, "d_ff": 128}, moe=MoEConfig(num_experts=4))
    with pytest.raises(ConfigError, match="d_ff 64 instead of 128"):
        upcycle(random_model(), config, seed=0)


def test_upcycle_rejects_a_dense_target():
    with pytest.raises(ConfigError, match="converts a dense model to an MoE model"):
        upcycle(random_model(), ModelConfig(**SIZES), seed=0)
