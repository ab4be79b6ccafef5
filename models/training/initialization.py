"""Initial weights of a run: random, of another run, imported, or upcycled from a dense model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from data_pipelines.packed import PackedCorpus
from models import layout
from models.architecture.t5 import T5
from models.config import ModelConfig, pad_vocab_size
from models.errors import ConfigError, DataMismatch, UnknownModel
from models.interchange.upcycling import upcycle
from models.replicate import Replicate
from models.run_model import configure_model
from models.training.params import (
    IMPORTED,
    PRETRAINING_CORPORA,
    SCRATCH,
    RunParams,
    TrainingParams,
)
from models.weights import LoadedModel, load_weights
from models.weights_config import WeightsConfig


def start_folder(run: RunParams, seed: int, workspace: Path) -> Path:
    """Return the folder of a run's initial weights, for a run that does not start from scratch.

    Another run has weights of the same seed; imported weights have no seed.
    """
    trained = workspace / Replicate(run.start, seed).weights
    return trained if trained.is_dir() else workspace / layout.RUNS / run.start / "weights"


def initialize_model(
    run: RunParams,
    params: TrainingParams,
    corpus: PackedCorpus | None,
    workspace: Path,
    *,
    seed: int,
) -> T5:
    """Return the model of a run before its first step.

    Args:
        run: preset and initial weights.
        params: training settings, of which the dropout rates are used.
        corpus: training corpus, whose tokenizer must match the initial weights; None for imported
            weights that are not trained.
        workspace: folder with runs/.
        seed: seed of random weights, and of the start if that is another run.

    Raises:
        UnknownModel: there are no weights of that name.
        CorruptCheckpoint: the initial weights cannot be read.
        DataMismatch: initial weights, preset and corpus do not match.
    """
    if run.start == SCRATCH and corpus is not None:
        vocab_size = pad_vocab_size(int(corpus.manifest["vocab_size"]))
        config = _with_dropout(configure_model(run), run, params)
        return T5(dataclasses.replace(config, vocab_size=vocab_size)).reset_parameters(seed)
    folder = start_folder(run, seed, workspace)
    if not (folder / "config.json").is_file():
        raise UnknownModel(
            f"{folder} holds no weights: start is {run.start!r}, expected a trained run or an "
            f"imported model (`flanmoe models import FOLDER runs/{run.start}/weights`)"
        )
    preset_config = (
        WeightsConfig.read(folder).model if run.preset == IMPORTED else configure_model(run)
    )
    preset_config = _with_dropout(preset_config, run, params)
    start = load_weights(folder, adapt=lambda config: _with_settings_of(preset_config, config))
    if corpus is not None:
        _check_tokenizer(run, start, corpus)
    config = dataclasses.replace(preset_config, vocab_size=start.model.config.vocab_size)
    if start.model.config == config:
        return start.model
    if start.model.config.moe is None and config.moe is not None:
        try:
            return upcycle(start.model, config, seed)
        except ConfigError as error:
            raise DataMismatch(
                f"run {run.start!r} cannot be upcycled to {run.preset!r}: {error}"
            ) from None
    differences = [
        f"{name} is {value} there, {getattr(config, name)} here"
        for name, value in vars(start.model.config).items()
        if value != getattr(config, name)
    ]
    raise DataMismatch(
        f"run {run.start!r} has another architecture than preset {run.preset!r}: "
        f"{'; '.join(differences)}"
    )


def _with_dropout(config: ModelConfig, run: RunParams, params: TrainingParams) -> ModelConfig:
    """Return the configuration with the dropout rates of a run.

    A rate that the parameters leave open is the preset's in fine-tuning. In pre-training it is 0,
    and experts have the dropout of all layers: the MoE is not regularised more than its dense
    partner.
    """
    is_pretraining = run.data in PRETRAINING_CORPORA
    dropout = params.dropout
    if dropout is None:
        dropout = 0.0 if is_pretraining else config.dropout
    moe = config.moe
    if moe is not None:
        expert_dropout = params.expert_dropout
        if expert_dropout is None:
            expert_dropout = dropout if is_pretraining else moe.expert_dropout
        moe = dataclasses.replace(moe, expert_dropout=expert_dropout)
    return dataclasses.replace(config, dropout=dropout, moe=moe)


def _with_settings_of(preset_config: ModelConfig, config: ModelConfig) -> ModelConfig:
    """Return the configuration of initial weights with the settings of the run's preset.

    The names in `tensors` stay as they are in `config`; all other MoE settings, e.g. top_k,
    capacity and loss weights, are those of the preset.
    """
    moe = config.moe
    if moe is not None and preset_config.moe is not None:
        tensors = ("num_experts", "router", "decoder_router", "moe_every", "dense_after_moe")
        tensor_settings = {name: getattr(moe, name) for name in tensors}
        moe = dataclasses.replace(preset_config.moe, **tensor_settings)
    return dataclasses.replace(config.with_training_settings_of(preset_config), moe=moe)


def _check_tokenizer(run: RunParams, start: LoadedModel, corpus: PackedCorpus) -> None:
    weights_tokenizer = start.tokenizer_sha256
    corpus_tokenizer = str(corpus.manifest["tokenizer_sha256"])
    if not weights_tokenizer:
        raise DataMismatch(
            f"run {run.start!r} was imported without its tokenizer, and another vocabulary gives "
            "wrong scores; import it again from a folder with its spiece.model or tokenizer.json"
        )
    if weights_tokenizer != corpus_tokenizer:
        raise DataMismatch(
            f"run {run.start!r} was trained with tokenizer {weights_tokenizer[:12]}, the corpus is "
            f"packed with {corpus_tokenizer[:12]}; retrain the run, or pack the corpus with the "
            "run's spiece.model (data_pipelines.tokenizer.model_file)"
        )
    vocab_size = int(corpus.manifest["vocab_size"])
    if start.model.config.vocab_size < vocab_size:
        raise DataMismatch(
            f"run {run.start!r} has a vocabulary of {start.model.config.vocab_size}, the corpus "
            f"one of {vocab_size}; pack the corpus with the tokenizer of the run"
        )
