"""Stage `train`: one run of params.yaml, from its start to weights and a run record.

Writes runs/NAME: weights/ (model.safetensors, config.json), metrics.json, run.json, log.json.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from pathlib import Path

from data_pipelines.packed import PackedCorpus
from models import flops, layout
from models.allocation import keep_freed_memory
from models.architecture.moe.dispatch.table import use
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.determinism import make_deterministic
from models.errors import DataMismatch
from models.output import sha256, write_json
from models.params import SCRATCH, RunParams
from models.presets import preset
from models.training import checkpoint
from models.training.parallel import Group, join
from models.training.params import TrainingParams
from models.training.record import data_hashes, git_commit, run_record
from models.training.trainer import Trainer, validation_loss
from models.weights import load_weights, save_weights


def run(name: str, run_params: RunParams, params: TrainingParams, workspace: Path) -> None:
    """Trains run `name`. Raises ModelError or DataError before the first step where it can."""
    make_deterministic(params.threads)
    keep_freed_memory()
    with join() as group:
        _train(name, run_params, params, workspace, group)


def _train(
    name: str, run_params: RunParams, params: TrainingParams, workspace: Path, group: Group
) -> None:
    corpus = PackedCorpus.open(workspace / layout.PACKED / run_params.data)
    validation = PackedCorpus.open(workspace / layout.PACKED / "validation")
    model = _start(run_params, params, corpus, workspace)
    use(model, params.dispatch)
    digest = _fingerprint(run_params, params, corpus, model.config)
    folder = workspace / layout.CHECKPOINTS / name
    trainer = Trainer(
        model=model,
        corpus=corpus,
        params=params,
        steps=run_params.steps,
        seed=run_params.seed,
        fingerprint=digest,
        checkpoints=folder,
        group=group,
    )
    began = time.time()
    progress = trainer.fit()
    if not group.is_first:
        return
    out = workspace / layout.RUNS / name
    metrics = {
        "train_loss": _last_mean([line["loss"] for line in progress.log]),
        "validation_loss": round(validation_loss(model, validation, params.validate_rows), 5),
    }
    save_weights(out / "weights", model, corpus.manifest["tokenizer_sha256"])
    counted = flops.parameters(model.config)
    sequence = (corpus.manifest["encoder_length"], corpus.manifest["decoder_length"])
    training_flops = flops.training(
        model.config,
        encoder_tokens=sequence[0],
        decoder_tokens=sequence[1],
        rows=run_params.steps * params.batch_rows,
    )
    write_json(out / "metrics.json", metrics)
    write_json(out / "log.json", progress.log)
    write_json(
        out / "run.json",
        run_record(
            name=name,
            preset=run_params.preset,
            start=run_params.start,
            data=run_params.data,
            tuned=run_params.tuned,
            seed=run_params.seed,
            steps=run_params.steps,
            params={"run": dataclasses.asdict(run_params), "training": dataclasses.asdict(params)},
            model=model.config.to_dict(),
            total_parameters=counted.total,
            active_parameters=counted.active,
            flops_per_token=flops.per_token(model.config),
            training_flops=training_flops,
            training_seconds=round(progress.seconds, 2),
            flops_per_second=round(training_flops / max(progress.seconds, 1e-9)),
            target_tokens=progress.target_tokens,
            losses=metrics,
            router_health=trainer.health.summary(),
            finished_at=round(began + progress.seconds, 1),
            git_commit=git_commit(Path(__file__).parent),
            data_version=corpus.manifest["version"],
            data_hashes=data_hashes(workspace),
            sequence={"encoder_length": sequence[0], "decoder_length": sequence[1]},
            tokenizer_sha256=corpus.manifest["tokenizer_sha256"],
            weights="weights/model.safetensors",
            weights_sha256=sha256(out / "weights" / "model.safetensors"),
            processes=group.world,
            resumed_from=progress.resumed_from,
        ),
    )
    checkpoint.discard(folder)


def _start(
    run_params: RunParams, params: TrainingParams, corpus: PackedCorpus, workspace: Path
) -> T5:
    vocabulary = int(corpus.manifest["vocab_size"])
    config = dataclasses.replace(
        preset(run_params.preset),
        # A multiple of 64: matrix products like it, and spare rows are never targets.
        vocab_size=-(-vocabulary // 64) * 64,
        dropout=params.dropout,
    )
    if run_params.start == SCRATCH:
        return T5(config).reset_parameters(run_params.seed)
    saved = load_weights(workspace / layout.RUNS / run_params.start / "weights")
    if saved.tokenizer_sha256 != corpus.manifest["tokenizer_sha256"]:
        raise DataMismatch(
            f"run {run_params.start!r} was trained with tokenizer {saved.tokenizer_sha256[:12]}, "
            f"the shards hold {corpus.manifest['tokenizer_sha256'][:12]}; train it again"
        )
    if saved.model.config != config:
        raise DataMismatch(
            f"run {run_params.start!r} is of another architecture than preset "
            f"{run_params.preset!r}; start from a run of the same preset"
        )
    return saved.model


def _fingerprint(
    run_params: RunParams, params: TrainingParams, corpus: PackedCorpus, config: ModelConfig
) -> str:
    content = {
        "run": dataclasses.asdict(run_params),
        "training": dataclasses.asdict(params),
        "data": corpus.manifest["version"],
        "model": config.digest(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _last_mean(values: list[float]) -> float:
    last = values[-5:]
    return round(sum(last) / len(last), 5)
