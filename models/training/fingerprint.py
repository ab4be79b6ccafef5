"""Fingerprint of a run: the settings and data that the trained weights depend on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from data_pipelines.files import sha256
from models.config import ModelConfig
from models.training.params import RunParams, TrainingParams

RESULT_AFFECTING_RUN_FIELDS = ("preset", "start", "start_optimizer", "data", "steps")
RESULT_AFFECTING_FIELDS = (
    "optim",
    "loss",
    "global_batch_size",
    "gradient_accumulation_steps",
    "dropout",
    "expert_dropout",
    "freeze",
    "precision",
)
"""Settings that affect the trained weights; checkpoints with other values are set aside."""


def fingerprint(
    seed: int,
    run: RunParams,
    training: TrainingParams,
    start: Path | None,
    data_version: str,
    config: ModelConfig,
) -> dict[str, Any]:
    """Return the settings and data that the trained weights depend on; see `Checkpointer`.

    Args:
        seed: seed of initial weights, data order and dropout.
        run: the run's parameters.
        training: the settings of its training.
        start: folder of the initial weights; None for random ones.
        data_version: version of its packed corpus.
        config: configuration of the model.
    """
    run_values, training_values = dataclasses.asdict(run), dataclasses.asdict(training)
    return {
        "run": {key: run_values[key] for key in RESULT_AFFECTING_RUN_FIELDS}
        | {"tasks": list(run.tasks), "seed": seed},
        "training": {key: training_values[key] for key in RESULT_AFFECTING_FIELDS},
        "start_weights_sha256": "" if start is None else sha256(start / "model.safetensors"),
        "data_version": data_version,
        "model": config.to_dict(),
    }
