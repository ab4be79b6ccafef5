"""What a run starts from, and on which tasks: another run, imported or upcycled weights."""

import dataclasses

import numpy as np
import pytest
import torch

from data_pipelines.errors import DataError
from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.errors import DataMismatch, UnknownModel
from models.presets import preset
from models.training.initialization import start_model
from models.training.params import RunParams, TrainingParams
from models.weights import save_weights

PARAMS = TrainingParams(dropout=0.1)


def corpus(vocabulary=1000, tokenizer="t" * 64):
    manifest = {"rows": 1, "vocab_size": vocabulary, "tokenizer_sha256": tokenizer}
    return PackedCorpus(manifest, [])


def saved(folder, name, kind, tokenizer="t" * 64, **changes):
    config = dataclasses.replace(preset(kind), vocab_size=1024, **changes)
    made = T5(config).reset_parameters(7)
    save_weights(folder / "runs" / name / "weights", made, tokenizer)
    return made


def test_random_weights_have_a_vocabulary_that_fits(tmp_path):
    run = RunParams(preset="tiny_switch", start="scratch", seed=3)
    made = start_model(run, PARAMS, corpus(1025), tmp_path)
    assert made.config.vocab_size == 1088
    assert made.config.dropout == 0.1


def test_another_run_with_another_dropout_capacity_and_loss_weight_goes_on(tmp_path):
    before = saved(tmp_path, "base", "tiny_switch", dropout=0.3)
    params = TrainingParams(dropout=0.0, expert_dropout=0.4)
    run = RunParams(preset="tiny_switch", start="base")
    made = start_model(run, params, corpus(), tmp_path)
    assert made.config.dropout == 0.0
    assert made.config.moe.expert_dropout == 0.4
    for name, weight in before.state_dict().items():
        assert torch.equal(made.state_dict()[name], weight), name


def test_an_import_of_transformers_starts_a_run(tmp_path):
    """T5 v1.0's sizes in small; transformers' logits are the started model's."""
    from transformers import T5Config, T5ForConditionalGeneration

    from models.interchange.hugging_face import import_folder

    torch.manual_seed(0)
    theirs = T5ForConditionalGeneration(
        T5Config(
            vocab_size=1024, d_model=128, d_ff=256, num_heads=4, d_kv=32, num_layers=2,
            feed_forward_proj="relu", decoder_start_token_id=0, tie_word_embeddings=False,
        )
    ).eval()  # fmt: skip
    theirs.save_pretrained(tmp_path / "theirs")
    import_folder(tmp_path / "theirs", tmp_path / "runs" / "brought" / "weights")
    run = RunParams(preset="tiny_dense", start="brought", steps=0)
    made = start_model(run, PARAMS, corpus(), tmp_path).eval()
    tokens, target = torch.randint(2, 900, (2, 7)), torch.randint(2, 900, (2, 5))
    ones = torch.ones_like
    with torch.no_grad():
        expected = theirs(input_ids=tokens, decoder_input_ids=target).logits
        found = made(tokens, ones(tokens), target, ones(target))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_dense_start_becomes_an_moe_by_upcycling(tmp_path):
    dense = saved(tmp_path, "dense", "tiny_dense").state_dict()
    made = start_model(RunParams(preset="tiny_gs", start="dense"), PARAMS, corpus(), tmp_path)
    layer = made.encoder.blocks[1].feed_forward
    for expert in layer.experts.wi_EDF:
        assert torch.equal(expert.t(), dense["encoder.blocks.1.feed_forward.wi"])


@pytest.mark.parametrize(
    ("kind", "run", "data", "told"),
    [
        ("tiny_switch", "tiny_st", {}, "cannot|another architecture"),
        (
            "tiny_switch",
            "tiny_switch",
            {"tokenizer": "u" * 64},
            "tokenizer tttttttttttt.*uuuuuuuuu",
        ),
        ("tiny_switch", "tiny_switch", {"vocabulary": 5000}, "vocabulary of 1024.*one of 5000"),
        ("tiny_dense", "t5_small", {}, "num_layers 2 there, 8 here"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_values(tmp_path, kind, run, data, told):
    saved(tmp_path, "base", kind)
    with pytest.raises(DataMismatch, match=told):
        start_model(RunParams(preset=run, start="base"), PARAMS, corpus(**data), tmp_path)


def test_a_start_that_is_not_there_says_how_to_make_it(tmp_path):
    with pytest.raises(UnknownModel, match="flanmoe models import FOLDER runs/none/weights"):
        start_model(RunParams(preset="tiny_dense", start="none"), PARAMS, corpus(), tmp_path)


def test_only_the_chosen_tasks_are_left_and_none_is_lost(finished):
    """Against a loop over all rows of a real corpus."""
    whole = PackedCorpus.open(finished.project.folder / "data" / "packed" / "train")
    names = sorted(whole.manifest["by_task"])
    pattern = names[0].split("_")[0] + "_*"
    chosen = whole.of_tasks([pattern])
    wanted = {n for n in names if n.startswith(names[0].split("_")[0] + "_")}
    expected = []
    for shard in whole.shards:
        tasks = iter(shard["tasks"].tolist())
        for row in range(len(shard["encoder_input_tokens"])):
            for segment in range(1, int(shard["task_counts"][row]) + 1):
                if whole.manifest["tasks"][next(tasks)] in wanted:
                    expected.append(pair(shard, row, segment))
    (shard,) = chosen.shards
    found = [
        pair(shard, row, segment)
        for row in range(len(chosen))
        for segment in range(1, int(shard["encoder_segment_ids"][row].max()) + 1)
    ]
    assert found == expected
    assert len(chosen) < len(whole)
    assert chosen.manifest["version"] != whole.manifest["version"]
    batch = chosen.take(np.arange(2))
    assert batch["encoder_input_tokens"].shape[1] == whole.manifest["encoder_length"]
    near = names[0][:-1]
    with pytest.raises(DataError, match=f"no task .* matches '{near}'; did you mean"):
        whole.of_tasks([near])


def pair(shard, row, segment):
    source = shard["encoder_input_tokens"][row][shard["encoder_segment_ids"][row] == segment]
    target = shard["decoder_target_tokens"][row][shard["decoder_segment_ids"][row] == segment]
    return source.tolist(), target.tolist()
