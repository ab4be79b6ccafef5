"""Sizes and training costs of runs before they are trained, from their configuration alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models import layout
from models.config import ModelConfig, pad_vocab_size
from models.cost.training import TrainingFlops, run_training_flops
from models.run_model import configure_model
from models.training.params import SCRATCH, RunParams, TrainingParams
from models.weights_config import WeightsConfig


@dataclass(frozen=True, kw_only=True)
class DataSizes:
    """Sizes of the packed data."""

    vocab_size: int
    """Ids of the tokenizer."""
    encoder_length: int
    decoder_length: int


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """The model that a run trains, and its cost."""

    name: str
    run: RunParams
    config: ModelConfig
    flops: TrainingFlops
    """Of this run alone."""
    cumulative_flops: int | None
    """With all runs that it starts from; None if they began with imported weights."""


def plan_runs(
    runs: Mapping[str, RunParams],
    training: Mapping[str, TrainingParams],
    data: DataSizes,
    workspace: Path,
) -> list[PlannedRun]:
    """Compute the size and cost of each run.

    Args:
        runs: the runs of params.yaml, by name.
        training: training settings of each run.
        data: sizes of the packed data.
        workspace: folder with runs/, in which weights that no run trains are imported.

    Raises:
        UnknownModel: a preset does not exist, or a run starts from weights that do not exist.
        CorruptCheckpoint: config.json of imported weights cannot be read.
    """
    planned: dict[str, PlannedRun] = {}

    def plan(name: str) -> PlannedRun:
        if name not in planned:
            planned[name] = _plan_run(name)
        return planned[name]

    def _plan_run(name: str) -> PlannedRun:
        run = runs[name]
        vocab_size = pad_vocab_size(data.vocab_size)
        start_flops: int | None = 0
        if run.start in runs:
            start = plan(run.start)
            vocab_size, start_flops = start.config.vocab_size, start.cumulative_flops
        elif run.start != SCRATCH:
            weights = WeightsConfig.read(workspace / layout.RUNS / run.start / "weights")
            vocab_size, start_flops = weights.model.vocab_size, weights.chain.training_flops
        config = dataclasses.replace(configure_model(run), vocab_size=vocab_size)
        flops = run_training_flops(
            config,
            run,
            training[name],
            encoder_length=data.encoder_length,
            decoder_length=data.decoder_length,
        )
        return PlannedRun(
            name=name,
            run=run,
            config=config,
            flops=flops,
            cumulative_flops=None if start_flops is None else start_flops + flops.total,
        )

    return [plan(name) for name in runs]
