"""Import and export of transformers' checkpoints: equal logits, equal text."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM

from models.architecture.generation import greedy_decode
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.errors import ConfigError, CorruptCheckpoint, UnknownModel
from models.interchange.hugging_face import export_folder, import_folder, read_folder
from models.weights import load_weights
from tests.models.interchange.factories import (
    HF_KINDS,
    SIZES,
    assert_equal_logits,
    random_batch,
    random_model,
    save_hf_model,
    save_model,
)

SWITCH = MoEConfig(
    num_experts=4, capacity_factor_train=None, capacity_factor_eval=None, expert_dropout=0.0
)


@pytest.mark.parametrize("kind", HF_KINDS)
def test_imported_model_has_the_same_logits(kind, tmp_path):
    hf_model = save_hf_model(kind, tmp_path / "hf")
    config = import_folder(tmp_path / "hf", tmp_path / "imported")
    model = load_weights(tmp_path / "imported").model.eval()
    assert model.config == config
    assert config.tie_word_embeddings == (kind not in ("t5_v1_1", "t5_v1_1_tied"))
    assert_equal_logits(model, hf_model)


@pytest.mark.parametrize("kind", ["t5_v1_0", "switch"])
def test_sharded_checkpoint_has_the_same_logits(kind, tmp_path):
    hf_model = save_hf_model(kind, tmp_path / "hf", max_shard_size="50kB")
    assert len(list((tmp_path / "hf").glob("model-*.safetensors"))) > 2
    assert_equal_logits(read_folder(tmp_path / "hf").eval(), hf_model)


@pytest.mark.parametrize(
    ("tied", "activation", "moe"),
    [(True, "relu", None), (False, "gated_gelu", None), (True, "relu", SWITCH)],
)
def test_exported_model_generates_the_same_tokens(tied, activation, moe, tmp_path):
    model = random_model(tied, activation, moe)
    save_model(tmp_path / "weights", model)
    assert export_folder(tmp_path / "weights", tmp_path / "hf") == []
    hf_model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "hf").eval()
    assert_equal_logits(model, hf_model)
    tokens, _ = random_batch()
    segments = (tokens > 0).long()
    expected = hf_model.generate(
        tokens, attention_mask=segments, max_new_tokens=24, do_sample=False, num_beams=1
    )[:, 1:]
    generated = greedy_decode(model, tokens, segments, max_new_tokens=24)
    assert len({tuple(row) for row in generated.tolist()}) > 1
    for row, expected_row in zip(generated.tolist(), expected.tolist(), strict=True):
        end = expected_row.index(1) + 1 if 1 in expected_row else len(expected_row)
        assert row[:end] == expected_row[:end]
    imported = read_folder(tmp_path / "hf").state_dict()
    assert all(torch.equal(imported[name], t) for name, t in model.state_dict().items())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_exported_router_coefficients_weigh_the_losses_as_here(reduction, tmp_path):
    """transformers adds, for each stack, coefficient * loss over all its layers."""
    from transformers.models.switch_transformers.modeling_switch_transformers import (
        load_balancing_loss_func,
        router_z_loss_func,
    )

    moe = MoEConfig(
        num_experts=4, capacity_factor_train=None, capacity_factor_eval=None, expert_dropout=0.0,
        load_balance_loss_weight=0.3, z_loss_weight=0.2, router_loss_reduction=reduction,
    )  # fmt: skip
    sizes = {**SIZES, "num_layers": 2}
    config = ModelConfig(**sizes, activation="relu", tie_word_embeddings=True, moe=moe)
    model = T5(config).reset_parameters(1).eval()
    save_model(tmp_path / "weights", model)
    export_folder(tmp_path / "weights", tmp_path / "hf")
    hf_config = json.loads((tmp_path / "hf" / "config.json").read_text())
    tokens, target = torch.randint(2, 96, (3, 20)), torch.randint(2, 96, (3, 9))
    expected = weighted_losses = 0.0
    layers = model.moe_layers()
    for name, layer in layers.items():
        x = captured_input(model, name, (tokens, target))
        logits = (x.flatten(0, 1) @ layer.router.weight.t())[None]
        probs = logits.softmax(-1)
        aux = load_balancing_loss_func(probs, probs.argmax(-1))
        # One MoE layer per stack, so the loss of the stack is that of the layer.
        expected += hf_config["router_aux_loss_coef"] * float(aux.detach())
        expected += hf_config["router_z_loss_coef"] * float(router_z_loss_func(logits).detach())
        routing = layer.routing
        weighted_losses += 0.3 * float(routing.load_balance_loss.detach())
        weighted_losses += 0.2 * float(routing.z_loss.detach())
    assert len(layers) == 2
    if reduction == "mean":
        weighted_losses /= 2
    assert weighted_losses == pytest.approx(expected, rel=1e-4)
    imported = read_folder(tmp_path / "hf").config.moe
    assert imported.router_loss_reduction == "mean"
    factor = 1 if reduction == "mean" else 2  # the sum over two layers is twice their mean
    assert imported.load_balance_loss_weight == pytest.approx(0.3 * factor)
    assert imported.z_loss_weight == pytest.approx(0.2 * factor)


def captured_input(model, name, inputs):
    """The input of an MoE layer in a forward pass."""
    captured = []
    handle = model.get_submodule(name).register_forward_pre_hook(
        lambda _, args: captured.append(args[0].detach())
    )
    tokens, target = inputs
    model(tokens, torch.ones_like(tokens), target, torch.ones_like(target))
    handle.remove()
    return captured[0]


def test_export_returns_a_warning_for_each_unsupported_setting(tmp_path):
    lossy = MoEConfig(num_experts=4, capacity_factor_train=1.25, expert_dropout=0.2)
    save_model(tmp_path / "weights", random_model(True, "relu", lossy))
    warnings = export_folder(tmp_path / "weights", tmp_path / "hf")
    assert [line.split(":")[0] for line in warnings] == ["expert_dropout", "capacity factors"]


@pytest.mark.parametrize(
    ("moe_fields", "activation", "message"),
    [
        ({"router": "st_moe", "top_k": 2}, "relu", "router st_moe cannot be exported"),
        ({}, "gated_gelu", "activation cannot be exported"),
        ({"dense_after_moe": True}, "relu", "dense_after_moe cannot be exported"),
        ({"moe_every": 4}, "relu", "moe_every cannot be exported"),
    ],
)
def test_export_rejects_a_model_without_a_class_in_transformers(
    moe_fields, activation, message, tmp_path
):
    model = random_model(True, activation, MoEConfig(num_experts=4, **moe_fields))
    save_model(tmp_path / "weights", model)
    with pytest.raises(ConfigError, match=message):
        export_folder(tmp_path / "weights", tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


@pytest.fixture
def checkpoint(tmp_path):
    save_hf_model("t5_v1_0", tmp_path / "hf")
    return tmp_path / "hf"


def change_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def change_tensors(folder, change):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


def insert_nan(state):
    state["shared.weight"][3, 3] = float("nan")


COPY = "decoder.embed_tokens.weight"
NORM = "encoder.final_layer_norm.weight"


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda f: change_config(f, model_type="bert"), ConfigError, "model_type 'bert' is not"),
        (lambda f: change_config(f, num_decoder_layers=2), ConfigError, "num_decoder_layers is 2"),
        (lambda f: change_config(f, feed_forward_proj="silu"), ConfigError, "activation 'silu'"),
        (lambda f: change_config(f, d_ff=None), ConfigError, "d_ff is None"),
        (
            lambda f: change_config(f, d_kv=16),
            CorruptCheckpoint,
            "has shape .* config.json implies",
        ),
        (lambda f: (f / "config.json").write_text("{"), CorruptCheckpoint, "cannot be read"),
        (lambda f: (f / "config.json").unlink(), UnknownModel, "has no config.json"),
        (lambda f: (f / "model.safetensors").unlink(), UnknownModel, "only safetensors are"),
        (lambda f: (f / "model.safetensors").write_bytes(b"cut"), CorruptCheckpoint, "be read"),
        (lambda f: change_tensors(f, lambda s: s.pop(NORM)), CorruptCheckpoint, f"first {NORM}"),
        (
            lambda f: change_tensors(f, lambda s: s.update(other=torch.ones(1))),
            CorruptCheckpoint,
            "do not belong to this architecture, first other",
        ),
        (lambda f: change_tensors(f, insert_nan), CorruptCheckpoint, "embedding has values that"),
        (
            lambda f: change_tensors(f, lambda s: s.update({COPY: s["shared.weight"] + 1})),
            CorruptCheckpoint,
            f"{COPY} differs from shared.weight",
        ),
        (
            lambda f: change_config(f, tie_word_embeddings=False),
            CorruptCheckpoint,
            "lm_head.weight is missing, but tie_word_embeddings is false",
        ),
        (lambda f: change_config(f, eos_token_id=2), ConfigError, "eos_token_id is 2"),
        (lambda f: (f / "spiece.model").unlink(), UnknownModel, "has no tokenizer"),
    ],
)
def test_import_rejects_a_damaged_checkpoint_by_name(checkpoint, damage, error, message):
    damage(checkpoint)
    with pytest.raises(error, match=message):
        import_folder(checkpoint, checkpoint.parent / "imported")
    assert not (checkpoint.parent / "imported").exists()


def test_read_folder_names_a_missing_shard(tmp_path):
    save_hf_model("t5_v1_0", tmp_path, max_shard_size="50kB")
    missing = sorted(tmp_path.glob("model-*.safetensors"))[1]
    missing.unlink()
    with pytest.raises(UnknownModel, match=missing.name):
        read_folder(tmp_path)


def test_read_folder_rejects_switch_with_experts_in_other_layers(tmp_path):
    save_hf_model("switch", tmp_path)
    change_config(tmp_path, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1)
    with pytest.raises(ConfigError, match="num_sparse_encoder_layers is 1 of 4"):
        read_folder(tmp_path)


@pytest.mark.parametrize("kind", ["t5_v1_0", "t5_v1_1"])
def test_index_that_names_tied_copies_which_no_shard_holds_is_accepted(kind, tmp_path):
    """As in the index of Flan-T5 XL."""
    save_hf_model(kind, tmp_path)
    expected = read_folder(tmp_path).state_dict()
    shard = tmp_path / "model-00001-of-00001.safetensors"
    (tmp_path / "model.safetensors").rename(shard)
    names = [*load_file(shard)]
    index = tmp_path / "model.safetensors.index.json"

    def write_index(*copies):
        weight_map = dict.fromkeys([*names, *copies], shard.name)
        index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))

    write_index("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    state = read_folder(tmp_path).state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())
    write_index("encoder.block.9.weight")
    with pytest.raises(CorruptCheckpoint, match=r"lists encoder\.block\.9\.weight, which"):
        read_folder(tmp_path)
    state = load_file(shard)
    del state["shared.weight"]
    save_file(state, shard)
    write_index("encoder.embed_tokens.weight")
    with pytest.raises(CorruptCheckpoint, match=r"lists encoder\.embed_tokens\.weight, which"):
        read_folder(tmp_path)
