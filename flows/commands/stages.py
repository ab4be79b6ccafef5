"""The stages as commands: what dvc.yaml calls. Imports wait until a command is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flows.runtime.parent_watch import end_with_parent


def stage_params() -> tuple[Any, Path]:
    """The checked params, and the workspace they belong to."""
    from flows.config import load as checking
    from flows.runtime import workspace as project

    end_with_parent()
    workspace = project.find()
    return checking.load(workspace / "params.yaml"), workspace


@click.command()
def digest() -> None:
    """Stage: digest of the code of every stage, data/code_digests.json."""
    from flows.runtime import workspace as project
    from flows.stages import digest as stage

    stage.run(project.find())


@click.command()
def fetch() -> None:
    """Stage: bring the sources into data/raw, pinned by hash."""
    from data_pipelines.stages import fetch as stage

    params, workspace = stage_params()
    stage.run(params.data_pipelines.fetch, workspace)


@click.command("eval_data")
def eval_data() -> None:
    """Stage: evaluation files into one form, data/eval_data."""
    from data_pipelines.stages import eval_data as stage

    _, workspace = stage_params()
    stage.run(workspace)


@click.command()
def read() -> None:
    """Stage: source rows into examples, data/records."""
    from data_pipelines.stages import read as stage

    params, workspace = stage_params()
    stage.run(params.data_pipelines.read, params.data_pipelines, workspace)


@click.command()
def clean() -> None:
    """Stage: find duplicates and overlaps with evaluation, data/clean."""
    from data_pipelines.stages import clean as stage

    params, workspace = stage_params()
    stage.run(params.data_pipelines.clean, params.data_pipelines, workspace)


@click.command()
def mix() -> None:
    """Stage: mix the examples by published rates, data/mixture."""
    from data_pipelines.stages import mix as stage

    params, workspace = stage_params()
    stage.run(params.data_pipelines.mix, params.data_pipelines, workspace)


@click.command()
def validate() -> None:
    """Stage: Great Expectations over the mixture, data/validation."""
    from data_pipelines.stages import validate as stage

    params, workspace = stage_params()
    data = params.data_pipelines
    stage.run(data.validate, data.read, data, workspace)


@click.command()
def tokenizer() -> None:
    """Stage: train the SentencePiece model, data/tokenizer."""
    from data_pipelines.stages import tokenizer as stage

    params, workspace = stage_params()
    stage.run(params.data_pipelines.tokenizer, params.data_pipelines, workspace)


@click.command()
def pack() -> None:
    """Stage: pack tokens into memory-mapped shards, data/packed."""
    from data_pipelines.stages import pack as stage

    params, workspace = stage_params()
    stage.run(params.data_pipelines.pack, params.data_pipelines, workspace)


@click.command()
@click.argument("name")
def train(name: str) -> None:
    """Stage: train run NAME of params.yaml, runs/NAME."""
    params, workspace = stage_params()
    check_run(params, name)
    from flows.fleet.launch import launch

    launch(name, params, workspace)


@click.command()
@click.argument("name")
def evaluate(name: str) -> None:
    """Stage: evaluate run NAME through lm-evaluation-harness, runs/NAME."""
    params, workspace = stage_params()
    check_run(params, name)
    from models.stages import evaluate as stage

    stage.run(name, params.models.evaluation, workspace)


def check_run(params: Any, name: str) -> None:
    """Raises UnknownModel for a run that params.yaml does not have, naming the nearest."""
    import difflib

    from models.errors import UnknownModel

    if name not in params.models.runs:
        near = difflib.get_close_matches(name, params.models.runs, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownModel(
            f"no run is called {name!r}; {hint}params.yaml has {', '.join(params.models.runs)}"
        )


STAGES: tuple[click.Command, ...] = (
    digest,
    fetch,
    eval_data,
    read,
    clean,
    mix,
    validate,
    tokenizer,
    pack,
    train,
    evaluate,
)
