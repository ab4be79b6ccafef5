"""The model a run starts from: random weights, another run's, imported ones, or upcycled ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from data_pipelines.packed import PackedCorpus
from models import layout
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.errors import ConfigError, DataMismatch, UnknownModel
from models.interchange.upcycling import upcycle
from models.presets import preset
from models.training.params import SCRATCH, RunParams, TrainingParams
from models.weights import Saved, load_weights


def start_model(
    run: RunParams, params: TrainingParams, corpus: PackedCorpus, workspace: Path
) -> T5:
    """The model before its first step.

    Raises DataMismatch where start, preset and shards do not fit, UnknownModel where there is no
    such start.
    """
    vocabulary = int(corpus.manifest["vocab_size"])
    wanted = _trained(preset(run.preset), params)
    if run.start == SCRATCH:
        # A multiple of 64: matrix products like it, and spare rows are never targets.
        config = dataclasses.replace(wanted, vocab_size=-(-vocabulary // 64) * 64)
        return T5(config).reset_parameters(run.seed)
    folder = workspace / layout.RUNS / run.start / "weights"
    if not (folder / "config.json").is_file():
        raise UnknownModel(
            f"{folder} holds no weights: start is {run.start!r}, neither a trained run nor an "
            f"imported model (`flanmoe models import FOLDER runs/{run.start}/weights`)"
        )
    saved = load_weights(folder, adapt=lambda config: _trained(config, params, wanted))
    config = dataclasses.replace(wanted, vocab_size=saved.model.config.vocab_size)
    _check_data(run, saved, corpus, vocabulary)
    if saved.model.config == config:
        return saved.model
    if saved.model.config.moe is None and config.moe is not None:
        try:
            return upcycle(saved.model, config, run.seed)
        except ConfigError as error:
            raise DataMismatch(f"run {run.start!r} cannot become {run.preset!r}: {error}") from None
    differ = [
        f"{name} {value} there, {getattr(config, name)} here"
        for name, value in vars(saved.model.config).items()
        if value != getattr(config, name)
    ]
    raise DataMismatch(
        f"run {run.start!r} is of another architecture than preset {run.preset!r}: "
        f"{'; '.join(differ)}"
    )


def _trained(
    config: ModelConfig, params: TrainingParams, like: ModelConfig | None = None
) -> ModelConfig:
    """With this run's dropout, and `like`'s capacity and losses: no tensor depends on them."""
    moe = config.moe
    if moe is not None and like is not None and like.moe is not None:
        tensors = ("num_experts", "router", "decoder_router", "moe_every", "dense_residual")
        moe = dataclasses.replace(like.moe, **{name: getattr(moe, name) for name in tensors})
    if moe is not None and params.expert_dropout is not None:
        moe = dataclasses.replace(moe, expert_dropout=params.expert_dropout)
    return dataclasses.replace(config, dropout=params.dropout, moe=moe)


def _check_data(run: RunParams, saved: Saved, corpus: PackedCorpus, vocabulary: int) -> None:
    ours, theirs = saved.tokenizer_sha256, str(corpus.manifest["tokenizer_sha256"])
    if ours and ours != theirs:
        raise DataMismatch(
            f"run {run.start!r} was trained with tokenizer {ours[:12]}, the shards hold "
            f"{theirs[:12]}; train it again, or make the shards with its spiece.model "
            "(data_pipelines.tokenizer.model_file)"
        )
    if saved.model.config.vocab_size < vocabulary:
        raise DataMismatch(
            f"run {run.start!r} has a vocabulary of {saved.model.config.vocab_size}, the shards "
            f"one of {vocabulary}: they were made with another tokenizer"
        )
