"""Small corpora, models and trainers, made alike in tests and in the processes they start."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.training.params import CheckpointParams, OptimParams, TrainingParams
from models.training.trainer import Trainer

PARAMS = TrainingParams(
    global_batch_size=4,
    log_every=1,
    dropout=0.1,
    optim=OptimParams(warmup_steps=2),
    checkpoint=CheckpointParams(save_every=3),
)


def corpus(rows=10, seed=0, uneven=False):
    """Packed rows in memory: two examples and padding in each; `uneven`: of differing lengths."""
    rng = np.random.default_rng(seed)
    ends = rng.integers(2, 6, rows) if uneven else np.full(rows, 4)
    target = np.array([1, 1, 2, 2, 2, 2], np.int32)
    shard = {
        "encoder_input_tokens": rng.integers(2, 30, (rows, 8), dtype=np.int32),
        "encoder_segment_ids": np.tile(np.array([1, 1, 1, 2, 2, 2, 0, 0], np.int32), (rows, 1)),
        "decoder_target_tokens": rng.integers(2, 30, (rows, 6), dtype=np.int32),
        "decoder_segment_ids": np.where(np.arange(6) < ends[:, None], target, 0).astype(np.int32),
    }
    manifest = {"rows": rows, "encoder_length": 8, "decoder_length": 6, "version": "made"}
    return PackedCorpus(manifest, [shard])


def moe(**changes):
    return MoEConfig(**{"num_experts": 3, "expert_dropout": 0.1, **changes})


def model(sparse=moe(), dropout=0.1):  # noqa: B008
    config = ModelConfig(
        vocab_size=32, d_model=16, d_ff=32, num_heads=2, d_kv=8, num_layers=2, moe=sparse,
        activation="relu", dropout=dropout,
    )  # fmt: skip
    return T5(config).reset_parameters(0)


def trainer(folder, steps=8, contents=None, made=None, rows=None, **changes):
    return Trainer(
        model=made or model(),
        corpus=rows or corpus(),
        params=dataclasses.replace(PARAMS, **changes),
        steps=steps,
        seed=5,
        folder=Path(folder),
        contents=contents or {"run": "this"},
    )


def curve(log):
    """What must be the same again; times are not."""
    return [{key: line[key] for key in ("step", "loss", "balance", "grad_norm")} for line in log]


def torchrun(script, *arguments, processes, folder, timeout=300, check=True, options=()):
    """Runs `script`, text, in that many gloo processes of one thread each."""
    path = Path(folder) / "script.py"
    path.write_text(script)
    launcher = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(processes), *options,
    ] if processes > 1 else [sys.executable]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [*launcher, str(path), *map(str, arguments)],
        env=environment, timeout=timeout, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if check:
        assert done.returncode == 0, done.stderr[-4000:]
    return done


def weights(made):
    return {name: tensor.clone() for name, tensor in made.state_dict().items()}


def read_log(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


class Killed(Exception):
    pass
