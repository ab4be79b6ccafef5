"""The `flanmoe` command. Every import that costs time waits until its command is called."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from flows.commands.fleet import fleet
from flows.commands.registry_group import registry
from flows.commands.stages import STAGES

_DEBUG = False


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Instruction-tune sparse MoE language models on FLAN, compare them with dense ones, promote
    the winner with evidence.

    \b
    flanmoe run          the main job: all stages, register, promote
    flanmoe dashboard    look at the result
    flanmoe predict ...  ask the champion
    """
    global _DEBUG
    _DEBUG = debug


# The main job -----------------------------------------------------------------------------------


@cli.command()
@click.option(
    "--params",
    "params_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Another params file; runs in a workspace of its own.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a parameter, e.g. models.training.optim.lr=1e-3; in a workspace of its own.",
)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to run. Default: the project, or .flanmoe/workspaces/NAME with --params or --set.",
)
def run(params_file: Path | None, assignments: tuple[str, ...], workspace: Path | None) -> None:
    """Run the pipeline: stages of dvc.yaml, then register and promote."""
    from flows.commands.run import run as run_flow

    run_flow(params_file=params_file, assignments=assignments, workspace=workspace)


@cli.command()
@click.option(
    "--params",
    "params_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to check. Default: params.yaml of the project.",
)
def check(params_file: Path | None) -> None:
    """Check every parameter, and do nothing else."""
    from flows.config import load as checking
    from flows.runtime import workspace as project

    path = params_file or project.find() / "params.yaml"
    checking.load(path)
    click.echo(f"{path}: every parameter is valid")


# Stages: what dvc.yaml calls --------------------------------------------------------------------

for command in STAGES:
    cli.add_command(command)


# Results ----------------------------------------------------------------------------------------


@cli.command()
@click.argument("instruction")
@click.option("--max-new-tokens", default=64, show_default=True, help="Longest answer, in tokens.")
def predict(instruction: str, max_new_tokens: int) -> None:
    """Answer INSTRUCTION with the champion."""
    from flows.commands.predict import predict as answer

    click.echo(answer(instruction, max_new_tokens))


@cli.command()
@click.argument("a")
@click.argument("b")
@click.option("--suite", "suites", multiple=True, metavar="SUITE", help="Only this suite.")
@click.option(
    "--margin",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 100),
    help="Points by which A may be worse and still count as not worse.",
)
@click.option(
    "--clean", is_flag=True, help="Leave out items that a training mixture overlaps with."
)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Whose runs A and B are. Default: the project.",
)
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def compare(
    a: str,
    b: str,
    suites: tuple[str, ...],
    margin: float,
    clean: bool,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Compare A with B on the items that both answered: paired tests, and what each costs.

    A and B are runs, registered versions (v3), or folders with their files.
    """
    from flows.commands.compare import compare as compare_results
    from registry.comparison.compare import Terms

    terms = Terms(suites=suites, margin=margin / 100, clean=clean)
    compare_results((a, b), terms, workspace=workspace, as_json=as_json)


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Default: dashboard.port.")
def dashboard(port: int | None) -> None:
    """Serve the dashboard on this machine."""
    from flows.commands.dashboard import serve

    serve(port)


@cli.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the model presets: parameters, compute, memory. Also: match, import, export, upcycle."""
    if context.invoked_subcommand is None:
        from flows.commands.models import show

        show(as_json)


@models.command("match")
@click.argument("preset")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def models_match(preset: str, as_json: bool) -> None:
    """Which dense models cost the same per token as PRESET?"""
    from flows.commands.models import match

    match(preset, as_json)


FOLDER = click.Path(path_type=Path, file_okay=False)


@models.command("import")
@click.argument("source", type=FOLDER)
@click.argument("target", type=FOLDER)
def models_import(source: Path, target: Path) -> None:
    """Import a Hugging Face checkpoint from SOURCE to TARGET.

    T5, T5 v1.1, Flan-T5 and SwitchTransformers, in safetensors (sharded too).
    """
    from flows.commands.models import import_checkpoint

    import_checkpoint(source, target)


@models.command("export")
@click.argument("source", type=FOLDER)
@click.argument("target", type=FOLDER)
def models_export(source: Path, target: Path) -> None:
    """Export weights for transformers from SOURCE to TARGET.

    SOURCE is a weights folder, e.g. runs/NAME/weights.
    Dense models and Switch models with ReLU; other routers are refused, as transformers has no
    class for them.
    """
    from flows.commands.models import export_checkpoint

    export_checkpoint(source, target)


@models.command("upcycle")
@click.argument("source", type=FOLDER)
@click.argument("preset")
@click.argument("target", type=FOLDER)
@click.option("--seed", default=0, show_default=True, help="Of the router's weights.")
def models_upcycle(source: Path, preset: str, target: Path, seed: int) -> None:
    """Make an MoE model of dense weights in SOURCE.

    PRESET says which one, TARGET is where it goes.
    Every expert starts as the dense model's feed-forward layer (sparse upcycling).
    """
    from flows.commands.models import upcycle_checkpoint

    upcycle_checkpoint(source, preset, target, seed)


@cli.group()
def data() -> None:
    """The data: catalog of sources, report on the mixture."""


@data.command("catalog")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def data_catalog(as_json: bool) -> None:
    """List every source: where from, its licence, and whether it is present."""
    from flows.commands import data as data_commands

    data_commands.catalog(as_json)


@data.command("report")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The workspace to report on. Default: the project.",
)
def data_report(as_json: bool, workspace: Path | None) -> None:
    """Show what the mixture holds: shares, duplicates, quarantine, contamination."""
    from flows.commands import data as data_commands

    data_commands.report(as_json, workspace)


cli.add_command(registry)
cli.add_command(fleet)


# Errors -----------------------------------------------------------------------------------------


def _expected() -> tuple[type[BaseException], ...]:
    from data_pipelines.errors import DataError
    from flows.errors import FlowError
    from models.errors import ModelError
    from registry.errors import RegistryError

    return (DataError, FlowError, ModelError, RegistryError)


def main() -> None:
    """Runs the command. An expected failure is one line on stderr, exit code 1; 130 if stopped; 75
    if stopped and to be started again."""
    from flows.errors import StageInterrupted

    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("error: stopped; the same command continues", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except StageInterrupted as error:
        click.echo(f"error: {error}; the same command continues", err=True)
        sys.exit(130)
    except Exception as error:
        if _DEBUG:
            raise
        sys.exit(_tell(error))


def _tell(error: Exception) -> int:
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and not isinstance(error, _expected()):
        where = f"{error.filename}: " if error.filename else ""
        text = f"{where}{error.strerror or text}"
    elif not isinstance(error, _expected()):
        text = f"unexpected {type(error).__name__}: {' '.join(text.split())} (--debug shows where)"
    for line in text.splitlines():
        click.echo(f"error: {line}", err=True)
    return _exit_code(error)


def _exit_code(error: Exception) -> int:
    """75 (EX_TEMPFAIL) says: start it again, it goes on."""
    from flows.errors import StagePreempted
    from models.errors import Preempted
    from models.training.preemption import RESUME

    return RESUME if isinstance(error, Preempted | StagePreempted) else 1
