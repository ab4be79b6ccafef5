"""Initial weights of a run: random, of another run, imported, upcycled."""

import dataclasses
import hashlib

import pytest
import torch

from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.errors import DataMismatch, UnknownModel
from models.presets import PRESETS, preset
from models.training.initialization import initialize_model
from models.training.params import RunParams, TrainingParams
from models.weights import save_weights
from tests.models.interchange.factories import spiece_bytes

PARAMS = TrainingParams(dropout=0.1)


def empty_corpus(vocab_size=1000, tokenizer="t" * 64):
    manifest = {"rows": 1, "vocab_size": vocab_size, "tokenizer_sha256": tokenizer}
    return PackedCorpus(manifest, [])


def save_run(folder, name, preset_name, tokenizer="t" * 64, **changes):
    config = dataclasses.replace(preset(preset_name), vocab_size=1024, **changes)
    model = T5(config).reset_parameters(7)
    save_weights(folder / "runs" / name / "weights", model, tokenizer)
    return model


def test_initialize_model_scratch_pads_the_vocabulary(tmp_path):
    run = RunParams(preset="tiny_switch", start="scratch")
    model = initialize_model(run, PARAMS, empty_corpus(1025), tmp_path, seed=3)
    assert model.config.vocab_size == 1088
    assert model.config.dropout == 0.1


def test_initialize_model_another_run_has_its_weights_and_this_runs_dropout(tmp_path):
    base = save_run(tmp_path, "base", "tiny_switch", dropout=0.3)
    params = TrainingParams(dropout=0.0, expert_dropout=0.4)
    run = RunParams(preset="tiny_switch", start="base")
    model = initialize_model(run, params, empty_corpus(), tmp_path, seed=0)
    assert model.config.dropout == 0.0
    assert model.config.moe.expert_dropout == 0.4
    for name, weight in base.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name


@pytest.mark.parametrize(
    ("data", "params", "dropout", "expert_dropout"),
    [
        ("span_corruption", {}, 0.0, 0.0),
        ("prefix_lm", {"dropout": 0.1}, 0.1, 0.1),
        ("prefix_lm", {"dropout": 0.1, "expert_dropout": 0.3}, 0.1, 0.3),
        ("train", {}, 0.05, 0.2),
        ("train", {"dropout": 0.1}, 0.1, 0.2),
        ("train", {"dropout": 0.0, "expert_dropout": 0.0}, 0.0, 0.0),
    ],
)
def test_initialize_model_dropout_is_the_presets_and_none_in_pretraining(
    monkeypatch, tmp_path, data, params, dropout, expert_dropout
):
    published = dataclasses.replace(
        preset("tiny_switch"),
        dropout=0.05,
        moe=dataclasses.replace(preset("tiny_switch").moe, expert_dropout=0.2),
    )
    monkeypatch.setitem(PRESETS, "tiny_published", published)
    base = save_run(tmp_path, "base", "tiny_published", dropout=0.7)
    for start in ("scratch", "base"):
        run = RunParams(preset="tiny_published", start=start, data=data)
        model = initialize_model(run, TrainingParams(**params), empty_corpus(), tmp_path, seed=0)
        assert (model.config.dropout, model.config.moe.expert_dropout) == (dropout, expert_dropout)
    assert torch.equal(model.embedding, base.embedding)


def test_initialize_model_weights_of_another_initial_scale_are_accepted(tmp_path):
    base = save_run(tmp_path, "base", "tiny_dense", init_scale=0.1)
    run = RunParams(preset="tiny_dense", start="base")
    model = initialize_model(run, PARAMS, empty_corpus(), tmp_path, seed=0)
    assert torch.equal(model.embedding, base.embedding)


def test_initialize_model_import_from_transformers_has_its_logits(tmp_path):
    """A small T5 v1.0 of transformers."""
    from transformers import T5Config, T5ForConditionalGeneration

    from models.interchange.hugging_face import import_folder

    torch.manual_seed(0)
    hf_model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=1024, d_model=32, d_ff=64, num_heads=2, d_kv=16, num_layers=2,
            feed_forward_proj="relu", decoder_start_token_id=0, tie_word_embeddings=False,
        )
    ).eval()  # fmt: skip
    hf_model.save_pretrained(tmp_path / "hf")
    (tmp_path / "hf/spiece.model").write_bytes(spiece_bytes())
    import_folder(tmp_path / "hf", tmp_path / "runs" / "imported" / "weights")
    run = RunParams(preset="tiny_dense", start="imported", steps=0)
    corpus = empty_corpus(tokenizer=hashlib.sha256(spiece_bytes()).hexdigest())
    model = initialize_model(run, PARAMS, corpus, tmp_path, seed=0).eval()
    tokens, target = torch.randint(2, 900, (2, 7)), torch.randint(2, 900, (2, 5))
    with torch.no_grad():
        expected = hf_model(input_ids=tokens, decoder_input_ids=target).logits
        logits = model(tokens, torch.ones_like(tokens), target, torch.ones_like(target))
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_initialize_model_dense_start_of_an_moe_is_upcycled(tmp_path):
    dense = save_run(tmp_path, "dense", "tiny_dense").state_dict()
    run = RunParams(preset="tiny_gs", start="dense")
    model = initialize_model(run, PARAMS, empty_corpus(), tmp_path, seed=0)
    layer = model.encoder.blocks[1].feed_forward
    for expert in layer.experts.wi_EDF:
        assert torch.equal(expert.t(), dense["encoder.blocks.1.feed_forward.wi"])


@pytest.mark.parametrize(
    ("start_preset", "run_preset", "corpus", "message"),
    [
        ("tiny_switch", "tiny_st", {}, "cannot|another architecture"),
        (
            "tiny_switch",
            "tiny_switch",
            {"tokenizer": "u" * 64},
            "tokenizer tttttttttttt.*uuuuuuuuu",
        ),
        ("tiny_switch", "tiny_switch", {"vocab_size": 5000}, "vocabulary of 1024.*one of 5000"),
        ("tiny_dense", "t5_small", {}, "num_layers is 2 there, 8 here"),
    ],
)
def test_initialize_model_mismatch_is_rejected_with_both_values(
    tmp_path, start_preset, run_preset, corpus, message
):
    save_run(tmp_path, "base", start_preset)
    run = RunParams(preset=run_preset, start="base")
    with pytest.raises(DataMismatch, match=message):
        initialize_model(run, PARAMS, empty_corpus(**corpus), tmp_path, seed=0)


def test_initialize_model_missing_weights_names_the_import_command(tmp_path):
    run = RunParams(preset="tiny_dense", start="none")
    with pytest.raises(UnknownModel, match="flanmoe models import FOLDER runs/none/weights"):
        initialize_model(run, PARAMS, empty_corpus(), tmp_path, seed=0)


def test_initialize_model_weights_without_a_tokenizer_are_rejected(tmp_path):
    save_run(tmp_path, "base", "tiny_dense", tokenizer="")
    with pytest.raises(DataMismatch, match="'base' was imported without its tokenizer"):
        initialize_model(
            RunParams(preset="tiny_dense", start="base"), PARAMS, empty_corpus(), tmp_path, seed=0
        )
