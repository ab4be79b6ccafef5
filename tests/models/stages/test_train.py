"""The stage `train`: costs of a run and of the runs that it starts from."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from data_pipelines.files import sha256
from data_pipelines.packing.shard import TokenizedPairs, write_shard
from data_pipelines.packing.vocabulary import TokenSequences
from data_pipelines.params import PRETRAINING_OBJECTIVES, PackParams
from models.cost.training import training_flops
from models.presets import preset
from models.replicate import Replicate
from models.stages import train
from models.training.params import (
    PRETRAINING_CORPORA,
    CheckpointParams,
    RunParams,
    TrainingParams,
)
from registry.records import read_run_record

LENGTHS = PackParams(encoder_length=16, decoder_length=8)
TRAINING = TrainingParams(
    global_batch_size=2, peak_flops=1e9, checkpoint=CheckpointParams(asynchronous=False)
)


def write_corpus(folder):
    """Write a packed corpus of random tokens."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    inputs, targets = (
        TokenSequences.concatenate([generator.integers(3, 60, length) for _ in range(8)])
        for length in (12, 6)
    )
    pairs = TokenizedPairs(inputs, targets, np.zeros(8, np.int32))
    rows = write_shard(folder / "0.arrow", pairs, LENGTHS).num_rows
    manifest = {
        "rows": rows, "encoder_length": 16, "decoder_length": 8, "task_names": ["cot_a"],
        "by_task": {"cot_a": {}},
        "shards": [{"file": "0.arrow", "sha256": sha256(folder / "0.arrow"), "rows": rows}],
        "tokenizer_sha256": "t" * 64, "vocab_size": 100, "version": "data1", "licences": [],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def workspace(tmp_path):
    """Write packed corpora, and restore the settings of torch that the stage changes."""
    for name in ("train", "validation", *PRETRAINING_CORPORA):
        write_corpus(tmp_path / "data" / "packed" / name)
    num_threads = torch.get_num_threads()
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    yield tmp_path
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(is_deterministic)


def train_run(workspace, name, preset_name, start, *, training=TRAINING, seed=0, **run):
    """Train a run and return its record as the registry reads it."""
    replicate = Replicate(name, seed)
    train.run(replicate, RunParams(preset=preset_name, start=start, **run), training, workspace)
    return read_run_record(workspace / replicate.folder / "run.json")


def expected_flops(preset_name, steps):
    """Compute three forward passes of a dense tiny model with 128 ids, product by product."""
    config = preset(preset_name)
    d, inner, f, s, t = config.d_model, 32, config.d_ff, 16, 8
    encoder = 4 * s * d * inner + 2 * s * s * inner + 2 * s * d * f
    decoder = (6 * t + 2 * s) * d * inner + 2 * (t * t + t * s) * inner + 2 * t * d * f
    forward = 2 * (config.num_layers * (encoder + decoder) + t * d * 128)
    return 3 * steps * TRAINING.global_batch_size * forward


def test_train_cumulative_cost_is_the_sum_of_the_chain(workspace):
    base = train_run(workspace, "base", "tiny_dense", "scratch", data="prefix_lm", steps=3)
    assert base.training_flops == base.cumulative_training_flops == expected_flops("tiny_dense", 3)
    tuned = train_run(workspace, "tuned", "tiny_dense", "base", steps=2, tasks=("cot_*",))
    assert tuned.training_flops == expected_flops("tiny_dense", 2)
    assert tuned.cumulative_training_flops == expected_flops("tiny_dense", 5)
    chain = tuned.training_chain
    assert chain.origin == "scratch"
    assert [(run.name, run.data, run.steps, run.tasks) for run in chain.runs] == [
        ("base", "prefix_lm", 3, ()), ("tuned", "train", 2, ("cot_*",)),
    ]  # fmt: skip
    upcycled = train_run(workspace, "upcycled", "tiny_gs", "base", steps=1)
    assert [run.preset for run in upcycled.training_chain.runs] == ["tiny_dense", "tiny_gs"]
    assert upcycled.cumulative_training_flops == base.training_flops + upcycled.training_flops
    unchanged = train_run(workspace, "unchanged", "tiny_dense", "tuned", steps=0)
    assert unchanged.training_flops == 0
    assert unchanged.cumulative_training_flops == tuned.cumulative_training_flops


def test_train_repeated_writes_the_same_bytes_apart_from_its_execution(workspace):
    def written():
        folder = workspace / "runs" / "base" / "seed_0"
        train_run(workspace, "base", "tiny_switch", "scratch", steps=6, training=training)
        hashes = {
            str(path.relative_to(folder)): sha256(path)
            for path in folder.rglob("*")
            if path.is_file()
        }
        shutil.rmtree(folder)
        return hashes

    training = dataclasses.replace(TRAINING, log_every=2)
    first, second = written(), written()
    assert {"weights/model.safetensors", "run.json", "log.jsonl", "metrics.json"} < first.keys()
    assert {"live/metrics.json", "live/plots/metrics/loss.tsv"} < first.keys()
    differing = {path for path in first if first[path] != second[path]}
    assert first.keys() == second.keys()
    assert differing == {"execution.json", "throughput.jsonl"}


def test_train_each_seed_starts_from_the_weights_of_the_same_seed(workspace):
    """Random weights and data order differ between seeds; steps: 0 leaves the start unchanged."""
    bases = [train_run(workspace, "base", "tiny_dense", "scratch", steps=2, seed=s) for s in (0, 5)]
    copies = [train_run(workspace, "copy", "tiny_dense", "base", steps=0, seed=s) for s in (0, 5)]
    assert [record.seed for record in copies] == [0, 5]
    assert bases[0].weights_sha256 != bases[1].weights_sha256
    for base, copy in zip(bases, copies, strict=True):
        assert copy.weights_sha256 == base.weights_sha256
        assert copy.training_chain.runs[0].seed == base.seed


def test_train_lm_adaptation_starts_from_span_corruption(workspace):
    spans = train_run(workspace, "spans", "tiny_switch", "scratch", data="span_corruption", steps=2)
    adapted = train_run(workspace, "adapted", "tiny_switch", "spans", data="prefix_lm", steps=1)
    assert [(run.name, run.data) for run in adapted.training_chain.runs] == [
        ("spans", "span_corruption"), ("adapted", "prefix_lm"),
    ]  # fmt: skip
    assert adapted.cumulative_training_flops == spans.training_flops + adapted.training_flops


def test_pretraining_corpora_are_those_that_the_stage_pack_writes():
    assert PRETRAINING_CORPORA == PRETRAINING_OBJECTIVES


def test_train_from_imported_weights_has_an_unknown_cumulative_cost(workspace):
    train_run(workspace, "base", "tiny_dense", "scratch", steps=1)
    imported = workspace / "runs" / "imported" / "weights"
    shutil.copytree(workspace / "runs" / "base" / "seed_0" / "weights", imported)
    config = json.loads((imported / "config.json").read_text())
    (imported / "config.json").write_text(json.dumps({**config, "training_chain": None}))
    tuned = train_run(workspace, "tuned", "tiny_dense", "imported", steps=2)
    assert tuned.training_flops == expected_flops("tiny_dense", 2)
    assert tuned.cumulative_training_flops is None
    assert tuned.training_chain.origin == config["weights_sha256"]


def test_train_frozen_and_recomputed_parts_are_counted_as_such(workspace):
    training = dataclasses.replace(TRAINING, freeze="all_but_gate", activation_checkpointing=True)
    record = train_run(workspace, "gate", "tiny_switch", "scratch", steps=2, training=training)
    config = dataclasses.replace(preset("tiny_switch"), vocab_size=128)
    expected = training_flops(
        config, encoder_tokens=16, decoder_tokens=8, rows=4, freeze="all_but_gate",
        activation_checkpointing=True,
    )  # fmt: skip
    assert record.training_flops == expected.forward + expected.backward
    assert record.recomputation_flops == expected.recomputation > 0
