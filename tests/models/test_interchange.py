"""Checkpoints of transformers in and out: the same logits, the same text."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSeq2SeqLM,
    SwitchTransformersConfig,
    SwitchTransformersForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from models.architecture.generation import greedy
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.errors import ConfigError, CorruptCheckpoint, UnknownModel
from models.interchange.hugging_face import export_folder, import_folder, read_folder
from models.interchange.upcycling import upcycle, upcycle_folder
from models.weights import load_weights, save_weights

SIZES = {"vocab_size": 96, "d_model": 32, "d_ff": 64, "num_heads": 4, "d_kv": 8, "num_layers": 4}


def reference(kind, folder, **save):
    """A small random model of transformers, with weights large enough to tell models apart."""
    torch.manual_seed(0)
    common = {**SIZES, "num_decoder_layers": 4, "dropout_rate": 0.0, "decoder_start_token_id": 0}
    if kind.startswith("switch"):
        sparse = 4 if kind == "switch_every" else 2
        made = SwitchTransformersForConditionalGeneration(
            SwitchTransformersConfig(
                **common, num_experts=4, num_sparse_encoder_layers=sparse,
                num_sparse_decoder_layers=sparse, expert_capacity=1000, router_jitter_noise=0.0,
            )
        )  # fmt: skip
    else:
        gated = kind != "t5_v1_0"
        made = T5ForConditionalGeneration(
            T5Config(
                **common, feed_forward_proj="gated-gelu" if gated else "relu",
                tie_word_embeddings=kind == "t5_v1_0",
            )
        )  # fmt: skip
    for name, weight in made.named_parameters():
        torch.nn.init.normal_(weight, std=0.3 if weight.dim() > 1 else 1.0)
        if "router" in name:
            torch.nn.init.normal_(weight, std=1.0)
    made.save_pretrained(folder, **save)
    if kind == "t5_v1_1":
        # A released v1.1 or Flan-T5: an output layer of its own, and the flag of its time.
        state = load_file(folder / "model.safetensors")
        state["lm_head.weight"] = torch.randn_like(state["shared.weight"]) * 0.3
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        config["tie_word_embeddings"] = False
        config.pop("scale_decoder_outputs")
        (folder / "config.json").write_text(json.dumps(config))
    return AutoModelForSeq2SeqLM.from_pretrained(folder).eval()


KINDS = ["t5_v1_0", "t5_v1_1", "t5_v1_1_tied", "switch", "switch_every"]


def batch():
    torch.manual_seed(3)
    tokens = torch.randint(2, 96, (3, 150))  # beyond the far distance of relative positions
    tokens[1, 40:] = 0
    return tokens, torch.randint(2, 96, (3, 9))


def same_logits(ours, theirs):
    tokens, target = batch()
    segments, ones = (tokens > 0).long(), torch.ones_like(target)
    with torch.no_grad():
        expected = theirs(
            input_ids=tokens, attention_mask=segments, decoder_input_ids=target
        ).logits
        found = ours(tokens, segments, target, ones)
    assert expected.std() > 0.05
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_of_an_imported_checkpoint(kind, tmp_path):
    theirs = reference(kind, tmp_path / "hf")
    config = import_folder(tmp_path / "hf", tmp_path / "ours")
    ours = load_weights(tmp_path / "ours").model.eval()
    assert ours.config == config
    assert config.tie_word_embeddings == (kind not in ("t5_v1_1", "t5_v1_1_tied"))
    same_logits(ours, theirs)


@pytest.mark.parametrize("kind", ["t5_v1_1", "switch"])
def test_a_sharded_checkpoint(kind, tmp_path):
    theirs = reference(kind.replace("t5_v1_1", "t5_v1_0"), tmp_path / "hf", max_shard_size="50kB")
    assert len(list((tmp_path / "hf").glob("model-*.safetensors"))) > 2
    same_logits(read_folder(tmp_path / "hf").eval(), theirs)


def random_model(tied=False, activation="gated_gelu", moe=None):
    config = ModelConfig(**SIZES, activation=activation, tie_word_embeddings=tied, moe=moe)
    model = T5(config).reset_parameters(1).eval()
    torch.manual_seed(7)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3 if weight.dim() > 1 else 1.0)
    return model


SWITCH = MoEConfig(
    num_experts=4, capacity_factor_train=None, capacity_factor_eval=None, expert_dropout=0.0
)


@pytest.mark.parametrize(
    ("tied", "activation", "moe"),
    [(True, "relu", None), (False, "gated_gelu", None), (True, "relu", SWITCH)],
)
def test_an_exported_model_says_the_same_in_transformers(tied, activation, moe, tmp_path):
    ours = random_model(tied, activation, moe)
    save_weights(tmp_path / "ours", ours, "")
    assert export_folder(tmp_path / "ours", tmp_path / "hf") == []
    theirs = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "hf").eval()
    same_logits(ours, theirs)
    tokens, _ = batch()
    segments = (tokens > 0).long()
    expected = theirs.generate(
        tokens, attention_mask=segments, max_new_tokens=24, do_sample=False, num_beams=1
    )[:, 1:]
    found = greedy(ours, tokens, segments, max_new_tokens=24)
    assert len({tuple(row) for row in found.tolist()}) > 1
    for row, other in zip(found.tolist(), expected.tolist(), strict=True):
        end = other.index(1) + 1 if 1 in other else len(other)
        assert row[:end] == other[:end]
    # And back again: the very same weights.
    again = read_folder(tmp_path / "hf").state_dict()
    assert all(torch.equal(again[name], t) for name, t in ours.state_dict().items())


def test_what_transformers_cannot_say_is_told_or_refused(tmp_path):
    lossy = MoEConfig(num_experts=4, capacity_factor_train=1.25, expert_dropout=0.2)
    save_weights(tmp_path / "lossy", random_model(True, "relu", lossy), "")
    told = export_folder(tmp_path / "lossy", tmp_path / "hf")
    assert [line.split(":")[0] for line in told] == ["expert_dropout", "capacity factors"]
    for moe, activation, why in (
        (
            MoEConfig(num_experts=4, router="st_moe", top_k=2),
            "relu",
            "router st_moe: transformers has",
        ),
        (MoEConfig(num_experts=4), "gated_gelu", "activation cannot be exported"),
        (
            MoEConfig(num_experts=4, dense_residual=True),
            "relu",
            "dense_residual cannot be exported",
        ),
        (MoEConfig(num_experts=4, moe_every=4), "relu", "every cannot be exported"),
    ):
        save_weights(tmp_path / "other", random_model(True, activation, moe), "")
        with pytest.raises(ConfigError, match=why):
            export_folder(tmp_path / "other", tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


@pytest.fixture
def checkpoint(tmp_path):
    reference("t5_v1_0", tmp_path / "hf")
    return tmp_path / "hf"


def change(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def change_tensors(folder, function):
    state = load_file(folder / "model.safetensors")
    function(state)
    save_file(state, folder / "model.safetensors")


def poison(state):
    state["shared.weight"][3, 3] = float("nan")


NORM = "encoder.final_layer_norm.weight"


@pytest.mark.parametrize(
    ("spoil", "error", "told"),
    [
        (lambda f: change(f, model_type="bert"), ConfigError, "model_type is 'bert'"),
        (lambda f: change(f, num_decoder_layers=2), ConfigError, "num_decoder_layers is 2"),
        (lambda f: change(f, feed_forward_proj="silu"), ConfigError, "activation 'silu'"),
        (lambda f: change(f, d_ff=None), ConfigError, "d_ff is None"),
        (lambda f: change(f, d_kv=16), CorruptCheckpoint, "has shape .* config.json asks for"),
        (lambda f: (f / "config.json").write_text("{"), CorruptCheckpoint, "cannot be read"),
        (lambda f: (f / "config.json").unlink(), UnknownModel, "holds no config.json"),
        (lambda f: (f / "model.safetensors").unlink(), UnknownModel, "safetensors only"),
        (lambda f: (f / "model.safetensors").write_bytes(b"cut"), CorruptCheckpoint, "be read"),
        (lambda f: change_tensors(f, lambda s: s.pop(NORM)), CorruptCheckpoint, f"first {NORM}"),
        (
            lambda f: change_tensors(f, lambda s: s.update(other=torch.ones(1))),
            CorruptCheckpoint,
            "no place in this architecture, first other",
        ),
        (lambda f: change_tensors(f, poison), CorruptCheckpoint, "embedding holds values that"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(checkpoint, spoil, error, told):
    spoil(checkpoint)
    with pytest.raises(error, match=told):
        import_folder(checkpoint, checkpoint.parent / "ours")
    assert not (checkpoint.parent / "ours").exists()


def test_a_shard_that_is_gone_is_named(tmp_path):
    reference("t5_v1_0", tmp_path, max_shard_size="50kB")
    gone = sorted(tmp_path.glob("model-*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(UnknownModel, match=gone.name):
        read_folder(tmp_path)


def test_switch_with_experts_elsewhere_is_refused(tmp_path):
    reference("switch", tmp_path)
    change(tmp_path, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1)
    with pytest.raises(ConfigError, match="num_sparse_encoder_layers is 1 of 4"):
        read_folder(tmp_path)


@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
@pytest.mark.parametrize("beside", [False, True])
def test_upcycled_with_normalised_gates_the_model_computes_what_it_did(
    activation, beside, tmp_path
):
    dense = random_model(activation=activation)
    moe = MoEConfig(
        num_experts=4, router="gshard", top_k=2, capacity_factor_eval=None, dense_residual=beside
    )
    target = ModelConfig(**{**SIZES, "vocab_size": 7}, activation=activation, moe=moe)
    save_weights(tmp_path / "dense", dense, "abc")
    upcycle_folder(tmp_path / "dense", target, tmp_path / "moe", seed=3)
    saved = load_weights(tmp_path / "moe")
    assert saved.tokenizer_sha256 == "abc"
    assert saved.model.config.moe == moe
    tokens, y = batch()
    with torch.no_grad():
        arguments = (tokens, (tokens > 0).long(), y, torch.ones_like(y))
        torch.testing.assert_close(
            saved.model.eval()(*arguments), dense(*arguments), atol=1e-4, rtol=1e-4
        )


def test_upcycling_into_other_sizes_is_refused():
    dense = random_model()
    wrong = ModelConfig(**{**SIZES, "d_ff": 128}, moe=MoEConfig(num_experts=4))
    with pytest.raises(ConfigError, match="d_ff 64 against 128"):
        upcycle(dense, wrong, seed=0)
    with pytest.raises(ConfigError, match="an MoE model from a dense one"):
        upcycle(dense, ModelConfig(**SIZES), seed=0)
