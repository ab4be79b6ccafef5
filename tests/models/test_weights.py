import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.architecture.t5 import T5
from models.config import ModelConfig
from models.errors import CorruptCheckpoint, UnknownModel
from models.weights import load_weights, save_weights
from tests.models.factories import CONFIG_0_1_0

CONFIG = ModelConfig(vocab_size=16, d_model=8, d_ff=8, num_heads=1, d_kv=8, num_layers=1)


@pytest.fixture
def folder(tmp_path):
    save_weights(tmp_path / "run" / "weights", T5(CONFIG).reset_parameters(3), "abc")
    return tmp_path / "run" / "weights"


def test_load_weights_returns_the_saved_tensors(folder):
    loaded = load_weights(folder)
    assert loaded.tokenizer_sha256 == "abc"
    for name, tensor in T5(CONFIG).reset_parameters(3).state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[name])


def test_load_weights_rejects_a_truncated_file(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(CorruptCheckpoint, match=r"model\.safetensors cannot be read"):
        load_weights(folder)


def test_load_weights_names_a_missing_tensor(folder):
    state = load_file(folder / "model.safetensors")
    del state["decoder.norm.weight"]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CorruptCheckpoint, match=r"first decoder\.norm\.weight"):
        load_weights(folder)


def test_load_weights_rejects_another_architecture(folder):
    description = json.loads((folder / "config.json").read_text())
    description["model"]["d_ff"] = 9
    (folder / "config.json").write_text(json.dumps(description))
    with pytest.raises(CorruptCheckpoint, match="another architecture"):
        load_weights(folder)


def test_load_weights_rejects_values_that_are_not_finite(folder):
    state = load_file(folder / "model.safetensors")
    state["embedding"][0, 0] = float("nan")
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CorruptCheckpoint, match="embedding has values that are not finite"):
        load_weights(folder)


def test_load_weights_rejects_a_folder_without_a_model(tmp_path):
    with pytest.raises(UnknownModel, match="has no trained model"):
        load_weights(tmp_path / "nothing")


def test_load_weights_rejects_an_unreadable_config(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(CorruptCheckpoint, match=r"config\.json"):
        load_weights(folder)


def test_load_weights_reads_weights_of_release_0_1_0(tmp_path):
    """Its config.json has other field names, the tensors are the same."""
    model = T5(ModelConfig.from_dict(CONFIG_0_1_0)).reset_parameters(3)
    save_weights(tmp_path, model, "abc")
    description = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**description, "model": CONFIG_0_1_0}))
    loaded = load_weights(tmp_path)
    assert loaded.model.config == ModelConfig.from_dict(CONFIG_0_1_0)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[name])
