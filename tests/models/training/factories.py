"""Small corpora, models and trainers, for tests and their worker processes."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.training.log_lines import split_lines
from models.training.params import CheckpointParams, OptimParams, TrainingParams
from models.training.trainer import Trainer

WORKERS = Path(__file__).parent / "workers"
PARAMS = TrainingParams(
    global_batch_size=4,
    log_every=1,
    dropout=0.1,
    optim=OptimParams(warmup_steps=2),
    checkpoint=CheckpointParams(save_every=3),
)


class Interrupted(Exception):
    """Raised by a test in the middle of a run."""


def build_corpus(rows=10, seed=0, uneven=False):
    """Build packed rows of two examples and padding; `uneven`: with different target lengths."""
    rng = np.random.default_rng(seed)
    ends = rng.integers(2, 6, rows) if uneven else np.full(rows, 4)
    segments = np.array([1, 1, 2, 2, 2, 2], np.int32)
    shard = {
        "encoder_input_tokens": rng.integers(2, 30, (rows, 8), dtype=np.int32),
        "encoder_segment_ids": np.tile(np.array([1, 1, 1, 2, 2, 2, 0, 0], np.int32), (rows, 1)),
        "decoder_target_tokens": rng.integers(2, 30, (rows, 6), dtype=np.int32),
        "decoder_segment_ids": np.where(np.arange(6) < ends[:, None], segments, 0).astype(np.int32),
    }
    manifest = {"rows": rows, "encoder_length": 8, "decoder_length": 6, "version": "test"}
    return PackedCorpus(manifest, [shard])


def moe_config(**changes):
    return MoEConfig(**{"num_experts": 3, "expert_dropout": 0.1, **changes})


def build_model(moe=moe_config(), dropout=0.1):  # noqa: B008
    config = ModelConfig(
        vocab_size=32, d_model=16, d_ff=32, num_heads=2, d_kv=8, num_layers=2, moe=moe,
        activation="relu", dropout=dropout,
    )  # fmt: skip
    return T5(config).reset_parameters(0)


def build_trainer(folder, steps=8, *, model=None, corpus=None, fingerprint=None, **changes):
    """Build a trainer; `changes` are arguments of Trainer, or else fields of TrainingParams."""
    names = (
        "validation", "peak_flops", "metrics_sink", "is_stop_requested", "dist",
        "initial_optimizer", "require_lease",
    )  # fmt: skip
    arguments = {name: changes.pop(name) for name in names if name in changes}
    return Trainer(
        model=model or build_model(),
        corpus=corpus or build_corpus(),
        params=dataclasses.replace(PARAMS, **changes),
        steps=steps,
        seed=5,
        folder=Path(folder),
        fingerprint=fingerprint or {"run": "test"},
        **arguments,
    )


def interrupt_at(step):
    """Return an `on_step` callback that ends the run after a step, as a kill would."""

    def on_step(completed):
        if completed == step:
            raise Interrupted

    return on_step


def reproducible_metrics(lines):
    """Return log lines without what was measured: a resume must reproduce all of it."""
    results, _ = split_lines(lines)
    return results


def copy_weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_equal_tensors(actual, expected):
    """Assert that two state dicts have the same names and bits."""
    assert actual.keys() == expected.keys()
    for name, tensor in actual.items():
        assert torch.equal(tensor, expected[name]), name


def read_log(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
