import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.architecture.t5 import T5
from models.config import ModelConfig
from models.errors import CorruptCheckpoint, UnknownModel
from models.weights import load_weights, save_weights

CONFIG = ModelConfig(vocab_size=16, d_model=8, d_ff=8, num_heads=1, d_kv=8, num_layers=1)


@pytest.fixture
def folder(tmp_path):
    save_weights(tmp_path / "run" / "weights", T5(CONFIG).reset_parameters(3), "abc")
    return tmp_path / "run" / "weights"


def test_weights_come_back_bit_for_bit(folder):
    saved = load_weights(folder)
    assert saved.tokenizer_sha256 == "abc"
    for name, tensor in T5(CONFIG).reset_parameters(3).state_dict().items():
        assert torch.equal(tensor, saved.model.state_dict()[name])


def test_cut_in_half(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(CorruptCheckpoint, match=r"model\.safetensors cannot be read"):
        load_weights(folder)


def test_missing_tensor_is_named(folder):
    state = load_file(folder / "model.safetensors")
    del state["decoder.norm.weight"]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CorruptCheckpoint, match=r"first decoder\.norm\.weight"):
        load_weights(folder)


def test_other_architecture(folder):
    description = json.loads((folder / "config.json").read_text())
    description["model"]["d_ff"] = 9
    (folder / "config.json").write_text(json.dumps(description))
    with pytest.raises(CorruptCheckpoint, match="another architecture"):
        load_weights(folder)


def test_values_that_are_no_numbers(folder):
    state = load_file(folder / "model.safetensors")
    state["embedding"][0, 0] = float("nan")
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CorruptCheckpoint, match="embedding holds values that are not finite"):
        load_weights(folder)


def test_no_model(tmp_path):
    with pytest.raises(UnknownModel, match="holds no trained model"):
        load_weights(tmp_path / "nothing")


def test_garbled_config(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(CorruptCheckpoint, match=r"config\.json"):
        load_weights(folder)
