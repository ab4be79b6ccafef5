"""`flanmoe run` and `flanmoe check`: the pipeline from params.yaml to a champion."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.options import FILE, FOLDER, load_workspace, open_registry
from flows.commands.partners import partner_tables
from flows.commands.registry_promotion import EXIT_CODES, decision_lines
from flows.commands.tables import evaluation_lines, seeds_table, versions_table, wide_console

if TYPE_CHECKING:
    from flows.config.schema import Params


@click.command()
@click.option(
    "--params",
    "params_file",
    type=FILE,
    help="Run another params file, in a separate workspace.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a parameter, e.g. models.training.optim.lr=1e-3, in a separate workspace.",
)
@click.option(
    "--workspace",
    type=FOLDER,
    help="Workspace folder. Default: the project, or .flanmoe/workspaces/NAME with --params, "
    "NAME-HASH with --set.",
)
@click.option(
    "--register-as",
    metavar="MODEL",
    help="Registered model. Default: registry.model; with --set a model of its own, "
    "MODEL-set-HASH, so that trials do not compete with the project's champion.",
)
@click.option("--no-promote", is_flag=True, help="Register only; do not promote.")
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit with 3 if the champion is unchanged and with 4 if every version was refused; "
    "without it, a finished run exits with 0.",
)
def run(
    params_file: Path | None,
    assignments: tuple[str, ...],
    workspace: Path | None,
    register_as: str | None,
    no_promote: bool,
    exit_code: bool,
) -> None:
    """Run the pipeline: all stages, register, promote.

    With --params, --set, --register-as or --workspace the pipeline runs in a workspace, so that
    params.yaml, data and dvc.lock of the project stay unchanged.
    """
    from flows.runtime.workspace import code_mismatch, find_project, project_of
    from flows.runtime.workspace_run import run_in_workspace

    console = wide_console()
    root = find_project()
    project = project_of(root)
    mismatch = code_mismatch(project)
    if mismatch is not None:
        click.echo(f"warning: {mismatch}", err=True)
    folder, data = _select_workspace(root, params_file, assignments, workspace, register_as)
    result = run_in_workspace(project, folder, data, console, promote=not no_promote)
    console.print()
    console.print(versions_table([version.summary() for version in result.versions]))
    console.print()
    console.print(seeds_table(result.versions) or "One seed: no interval over seeds.")
    console.print()
    _, params = load_workspace(folder)
    registry, sample = open_registry(project, params), params.data_pipelines.fetch.sample
    for part in partner_tables(result.versions, registry.samples_file, sample):
        console.print(part, highlight=False, soft_wrap=isinstance(part, str))
    for line in evaluation_lines(result.versions):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    for line in decision_lines(result.decision):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print("Dashboard: .venv/bin/flanmoe dashboard", highlight=False)
    if exit_code:
        sys.exit(EXIT_CODES[result.decision.outcome])


@click.command()
@click.option(
    "--params", "params_file", type=FILE, help="File to check. Default: params.yaml of the project."
)
def check(params_file: Path | None) -> None:
    """Check every parameter and the promotion policy without running anything."""
    from flows.config.load import parse_params, read_params
    from flows.errors import NotInProject
    from flows.runtime.project_policy import load_project_policy, require_project_policy
    from flows.runtime.workspace import find_project, project_of

    try:
        root = find_project()
    except NotInProject:
        if params_file is None:
            raise
        root = params_file.parent
    path = params_file or root / "params.yaml"
    # Initial weights and files are those of the project, as in a run with --params.
    data, project = read_params(path), project_of(root)
    params = parse_params(data, path.name, project if params_file else root)
    click.echo(f"{path}: every parameter is valid")
    if params.data_pipelines.fetch.sample is not None:
        click.echo(f"sample: {_describe_facts(params)}")
    if (project / "params.yaml").is_file():
        require_project_policy(data, path.name, project)
        click.echo(f"promotion policy: {load_project_policy(project).describe()}")


def _describe_facts(params: Params) -> str:
    """Return one line on the facts of the sample and the parameters of the first dense run."""
    from data_pipelines.sources.sample.facts import describe_facts
    from models.config import pad_vocab_size
    from models.cost.flops import count_parameters
    from models.presets import PRESETS

    assert params.data_pipelines.fetch.sample is not None
    line = describe_facts(params.data_pipelines.fetch.sample)
    for name, run in params.models.runs.items():
        config = PRESETS.get(run.preset)
        if config is not None and config.moe is None:
            vocab_size = pad_vocab_size(params.data_pipelines.tokenizer.vocab_size)
            num_parameters = count_parameters(replace(config, vocab_size=vocab_size)).total
            return f"{line} ({name} has {num_parameters})"
    return line


def _select_workspace(
    root: Path,
    params_file: Path | None,
    assignments: tuple[str, ...],
    workspace: Path | None,
    register_as: str | None,
) -> tuple[Path, dict[str, Any] | None]:
    """Return the folder to run in and the validated parameters to write there.

    Each set of assignments has a workspace and a registered model of its own, so that several can
    run at once and none competes with the project's champion.

    Returns:
        The folder, which exists, and the parameters; None for the project's own params.yaml.
    """
    if params_file is None and not assignments and workspace is None and register_as is None:
        return root, None
    from flows.config.load import apply_overrides, parse_params, read_params
    from flows.runtime.project_policy import require_project_policy
    from flows.runtime.workspace import WORKSPACES, project_of

    source = params_file or root / "params.yaml"
    project = project_of(root)
    data = apply_overrides(read_params(source), assignments)
    params = parse_params(data, source.name, project)
    require_project_policy(data, source.name, project)
    name = source.stem
    if assignments:
        digest = hashlib.sha256("\n".join(assignments).encode()).hexdigest()[:8]
        name += f"-{digest}"
        if not any(assignment.startswith("registry.model=") for assignment in assignments):
            register_as = register_as or f"{params.registry.model}-set-{digest}"
    if register_as is not None:
        data = {**data, "registry": {**(data.get("registry") or {}), "model": register_as}}
        parse_params(data, source.name, project)
    target = (workspace or project / WORKSPACES / name).resolve()
    target.mkdir(parents=True, exist_ok=True)
    return target, data
