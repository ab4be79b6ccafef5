"""Checks of params.yaml across fields, and of the presets, suites and files that fields name."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from data_pipelines.suggestions import did_you_mean
from flows.config.data_checks import data_errors
from flows.config.keys import unknown_keys
from flows.config.run_training import training_params
from flows.config.schema import Params
from flows.config.values import value_errors
from flows.errors import InvalidParams
from models.config import ModelConfig
from models.training.params import IMPORTED, SCRATCH, RunParams


def cross_field_errors(params: Params, root: Path) -> list[str]:
    """Return one line, starting with the key, for each conflict between fields.

    Args:
        params: parameters whose fields are valid one at a time.
        root: the project; a run may start from imported weights in `runs/NAME/weights` below it.
    """
    from models.architecture.moe.routers.checks import check_routers
    from models.errors import ConfigError, ModelError
    from models.run_model import configure_model

    errors: list[str] = []
    for name, run in params.models.runs.items():
        if run.preset == IMPORTED and not _imported_config(params, name, root):
            errors.append(
                f"models.runs.{name}.start: runs/{run.start}/weights is missing; preset: imported "
                "takes its architecture. `flanmoe models import` makes it"
            )
            continue
        where = f"models.runs.{name}.model"
        changes = unknown_keys(run.model, ModelConfig, where)
        changes += value_errors(run.model, ModelConfig, where)
        if changes:
            errors += changes
            continue
        try:
            config = _imported_config(params, name, root) or configure_model(run)
            check_routers(config)
        except ModelError as error:
            key = "model" if run.model and isinstance(error, ConfigError) else "preset"
            errors.append(f"models.runs.{name}.{key}: {error}")
            continue
        # Runs that share `models.training` share its errors: each is reported once.
        errors += [line for line in _training_errors(params, name, config) if line not in errors]
        errors += _start_errors(params, name, config, root)
        errors += _start_optimizer_errors(params, name)
    return errors + data_errors(params, root) + _artifact_errors(params)


def _artifact_errors(params: Params) -> list[str]:
    """Check that the URL of the artifact store, if it is a URL, is of a kind that is installed."""
    from registry.artifacts.remote_storage import RemoteStorage
    from registry.artifacts.store import is_remote
    from registry.errors import StoreUnavailable

    if is_remote(params.registry.artifacts):
        try:
            RemoteStorage.open(params.registry.artifacts)
        except StoreUnavailable as error:
            return [str(error)]
    return []


def _start_errors(params: Params, name: str, config: ModelConfig, root: Path) -> list[str]:
    """Check that the weights from which run `name` starts exist and fit its model."""
    from models.errors import ModelError
    from models.run_model import configure_model

    run = params.models.runs[name]
    where = f"models.runs.{name}.start"
    parent = params.models.runs.get(run.start)
    if parent is None:
        if run.start == SCRATCH or (root / "runs" / run.start / "weights").is_dir():
            return []
        hint = did_you_mean(run.start, [SCRATCH, *params.models.runs])
        return [
            f"{where}: there is no run {run.start!r}, and no folder runs/{run.start}/weights; "
            f"{hint}`flanmoe models import` makes one"
        ]
    parent_config = _imported_config(params, run.start, root)
    try:
        parent_config = parent_config or configure_model(parent)
    except ModelError:  # an error of the parent
        return []
    if _can_start_from(parent_config, config):
        return []
    return [
        f"{where}: run {run.start!r} is of preset {parent.preset!r}{_changes(parent)}, this one "
        f"of {run.preset!r}{_changes(run)}: it must be the same, or the dense model of the same "
        "sizes"
    ]


def _imported_config(params: Params, name: str, root: Path) -> ModelConfig | None:
    """Return the configuration of the imported weights that a run's preset refers to.

    None if the preset is another one, or the weights are missing.
    """
    run = params.models.runs[name]
    if run.preset != IMPORTED:
        return None
    if run.start in params.models.runs:
        return _imported_config(params, run.start, root)
    file = root / "runs" / run.start / "weights" / "config.json"
    if not file.is_file():
        return None
    return ModelConfig.from_dict(json.loads(file.read_text(encoding="utf-8"))["model"])


def _changes(run: RunParams) -> str:
    """Name the changes of a run's preset, if it has any."""
    return f" with {', '.join(run.model)} changed" if run.model else ""


def _can_start_from(parent: ModelConfig, config: ModelConfig) -> bool:
    """Return whether `parent` has the same sizes, or is the dense counterpart to upcycle."""
    comparable = dataclasses.replace(
        parent.with_training_settings_of(config), vocab_size=config.vocab_size
    )
    return comparable == config or comparable == config.dense_twin()


def _training_errors(params: Params, name: str, config: ModelConfig) -> list[str]:
    """Return conflicts between training, model and fleet settings of run `name`."""
    from models.architecture.moe.dispatch.checks import check_dispatch, check_expert_parallel
    from models.errors import ModelError

    run = params.models.runs[name]
    try:
        training = training_params(params.models, name)
    except InvalidParams as error:
        return str(error).splitlines()
    # The key to correct: the run's own settings if it has any, else those of all runs.
    where = f"models.runs.{name}.training" if run.training else "models.training"
    num_nodes = params.flows.fleet.nodes
    world_size = training.processes_per_node * num_nodes
    errors = []
    try:
        check_dispatch(training.dispatch, config, precision=training.precision)
    except ModelError as error:
        errors.append(f"{where}.dispatch: {error}")
    expert_parallel_size = training.parallel.expert_parallel_size
    key = f"{where}.parallel.expert_parallel_size"
    try:
        check_expert_parallel(expert_parallel_size, config)
    except ModelError as error:
        errors.append(f"{key}: {error} (run {name})")
    if world_size % expert_parallel_size:
        errors.append(
            f"{key}: {expert_parallel_size} does not divide the world size {world_size} "
            f"({training.processes_per_node} processes on each of {num_nodes} nodes)"
        )
    accumulation_steps = training.gradient_accumulation_steps
    if training.global_batch_size % (world_size * accumulation_steps):
        errors.append(
            f"{where}.global_batch_size: {training.global_batch_size} is not divisible by world "
            f"size {world_size} x gradient_accumulation_steps {accumulation_steps}"
        )
    if training.freeze is not None and config.moe is None:
        errors.append(
            f"{where}.freeze: {training.freeze!r} needs MoE layers; preset {run.preset!r} of run "
            f"{name} has none"
        )
    return errors


def _start_optimizer_errors(params: Params, name: str) -> list[str]:
    """Check that the run from which run `name` takes its optimizer state writes one that fits."""
    run = params.models.runs[name]
    parent = params.models.runs.get(run.start)
    if not run.start_optimizer or parent is None:
        return []
    where = f"models.runs.{name}.start_optimizer"
    try:
        own, start = (training_params(params.models, n) for n in (name, run.start))
    except InvalidParams:  # reported as an error of that run
        return []
    if not start.checkpoint.save_optimizer:
        return [
            f"{where}: run {run.start!r} does not write its optimizer state; set "
            f"models.runs.{run.start}.training.checkpoint.save_optimizer"
        ]
    if own.optim.name != start.optim.name:
        return [
            f"{where}: run {run.start!r} has the optimizer {start.optim.name}, this one "
            f"{own.optim.name}; they must be the same"
        ]
    if (run.preset, run.model) != (parent.preset, parent.model):
        return [
            f"{where}: run {run.start!r} is of preset {parent.preset!r}{_changes(parent)}, this "
            f"one of {run.preset!r}{_changes(run)}, whose weights have another optimizer state; "
            "set it to false"
        ]
    return []
