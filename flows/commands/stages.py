"""The stages as commands, which dvc.yaml calls. Heavy imports wait until a command is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.options import load_workspace
from flows.runtime.parent_watch import end_with_parent

if TYPE_CHECKING:
    from flows.config.schema import Params
    from models.replicate import Replicate

seed_option = click.option(
    "--seed", type=int, help="Seed of the run. Default: the first of models.seeds."
)


def load_stage_params() -> tuple[Params, Path]:
    """Return the validated parameters and the workspace; end with the parent process."""
    end_with_parent()
    workspace, params = load_workspace()
    return params, workspace


@click.command()
def digest() -> None:
    """Stage: write the code digest of every stage.

    Output: data/code_digests.json.
    """
    from flows.runtime.workspace import find_project
    from flows.stages import digest as stage

    stage.run(find_project())


@click.command()
def fetch() -> None:
    """Stage: fetch the sources and verify their hashes.

    Output: data/raw.
    """
    from data_pipelines.stages import fetch as stage

    params, workspace = load_stage_params()
    stage.run(params.data_pipelines.fetch, workspace)


@click.command("eval_data")
def eval_data() -> None:
    """Stage: convert evaluation data to a common format.

    Output: data/eval_data.
    """
    from data_pipelines.stages import eval_data as stage

    _, workspace = load_stage_params()
    stage.run(workspace)


@click.command()
def read() -> None:
    """Stage: convert source rows to examples.

    Output: data/records.
    """
    from data_pipelines.stages import read as stage

    params, workspace = load_stage_params()
    stage.run(params.data_pipelines.read, params.data_pipelines, workspace)


@click.command()
def clean() -> None:
    """Stage: find duplicates and contamination.

    Contamination is overlap with evaluation data. Output: data/clean.
    """
    from data_pipelines.stages import clean as stage

    params, workspace = load_stage_params()
    stage.run(params.data_pipelines.clean, params.data_pipelines, workspace)


@click.command()
def mix() -> None:
    """Stage: mix the examples at the configured rates.

    Output: data/mixture.
    """
    from data_pipelines.stages import mix as stage

    params, workspace = load_stage_params()
    stage.run(params.data_pipelines.mix, params.data_pipelines, workspace)


@click.command()
def validate() -> None:
    """Stage: validate the mixture with Great Expectations.

    Output: data/validation.
    """
    from data_pipelines.stages import validate as stage

    params, workspace = load_stage_params()
    data = params.data_pipelines
    stage.run(data.validate, data.read, data, workspace)


@click.command()
def tokenizer() -> None:
    """Stage: train the SentencePiece tokenizer.

    Output: data/tokenizer.
    """
    from data_pipelines.stages import tokenizer as stage

    params, workspace = load_stage_params()
    stage.run(params.data_pipelines.tokenizer, params.data_pipelines, workspace)


@click.command()
def pack() -> None:
    """Stage: pack tokens into memory-mapped shards.

    Output: data/packed.
    """
    from data_pipelines.stages import pack as stage

    params, workspace = load_stage_params()
    stage.run(params.data_pipelines.pack, params.data_pipelines, workspace)


@click.command()
@click.argument("name")
def initialize(name: str) -> None:
    """Stage: write the hashes of the initial weights of run NAME, for each seed.

    Output: runs/NAME/initial.
    """
    params, workspace = load_stage_params()
    find_replicate(params, name, None)
    from models.stages import initialize as stage

    stage.run(name, params.models.runs[name], params.models.seeds, workspace)


@click.command()
@click.argument("name")
@seed_option
def train(name: str, seed: int | None) -> None:
    """Stage: train run NAME of params.yaml with one seed.

    Output: runs/NAME/seed_SEED.
    """
    params, workspace = load_stage_params()
    replicate = find_replicate(params, name, seed)
    from flows.fleet.launch import launch_run

    launch_run(replicate, params, workspace)


@click.command()
@click.argument("name")
@seed_option
def evaluate(name: str, seed: int | None) -> None:
    """Stage: evaluate run NAME with one seed, with lm-evaluation-harness.

    Output: evaluation.json, scores.json, speed.json and samples.parquet in
    runs/NAME/seed_SEED.
    """
    params, workspace = load_stage_params()
    replicate = find_replicate(params, name, seed)
    from models.stages import evaluate as stage

    stage.run(replicate, params.models.evaluation, workspace)


def find_replicate(params: Params, name: str, seed: int | None) -> Replicate:
    """Return a run of params.yaml with a seed of `models.seeds`; by default the first one.

    Raises:
        UnknownModel: params.yaml does not have the run or the seed; the text names those it has.
    """
    from data_pipelines.suggestions import did_you_mean
    from models.errors import UnknownModel
    from models.replicate import Replicate

    runs, seeds = params.models.runs, params.models.seeds
    if name not in runs:
        raise UnknownModel(
            f"no run is called {name!r}; {did_you_mean(name, runs)}params.yaml has "
            f"{', '.join(runs)}"
        )
    if seed is not None and seed not in seeds:
        raise UnknownModel(
            f"--seed: {seed} is not in models.seeds, {list(seeds)}; add it, or choose one of these"
        )
    return Replicate(name, seeds[0] if seed is None else seed)


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
    initialize,
    train,
    evaluate,
)
