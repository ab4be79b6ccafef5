"""The `flanmoe` command: root group, logging and error handling.

The commands are in `flows.commands`. Their modules import no slow package (torch, prefect, dvc) at
the top; a command imports what it needs when it is called.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import click

from flows.commands.compare import compare
from flows.commands.dashboard import dashboard
from flows.commands.data import data
from flows.commands.deploy import deploy
from flows.commands.fleet import fleet
from flows.commands.metrics import metrics
from flows.commands.models import models
from flows.commands.predict import predict
from flows.commands.registry import registry
from flows.commands.report import report
from flows.commands.run import check, run
from flows.commands.stages import STAGES
from flows.commands.study import study
from flows.commands.up import up
from flows.log_handler import configure_logging

EXIT_INTERRUPTED = 130


@dataclass
class CliOptions:
    """Options of the root group."""

    debug: bool = False


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="flanmoe", message="%(version)s")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Instruction-tune sparse MoE language models on FLAN, compare them with dense models, and
    promote the best one with evidence.

    \b
    flanmoe run          run the pipeline: all stages, register, promote
    flanmoe dashboard    explore the results in a browser
    flanmoe predict ...  answer an instruction with the champion
    """
    from flows.config.environment import prepare_environment
    from flows.config.renamed_keys import check_environment

    context.ensure_object(CliOptions).debug = debug
    check_environment(os.environ)
    for warning in prepare_environment(os.environ):
        click.echo(f"warning: {warning}", err=True)
    configure_logging()


_PROJECT = (run, check, *STAGES, predict, compare, report, study, dashboard, models, data, registry)
for command in (*_PROJECT, fleet, deploy, up, metrics):
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit.

    An expected failure prints one line per error on stderr and exits with 1, Ctrl-C exits with
    130, and a run that saved its state after SIGTERM exits with 75 (EX_TEMPFAIL).
    """
    from flows.errors import StageInterrupted

    options = CliOptions()
    try:
        cli.main(standalone_mode=False, obj=options)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except KeyboardInterrupt:
        _close_bars()
        click.echo("error: stopped; run the same command again to resume", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except StageInterrupted as error:
        _close_bars()
        click.echo(f"error: {error}; run the same command again to resume", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        _close_bars()
        if options.debug:
            raise
        for line in _message(error).splitlines():
            click.echo(f"error: {line}", err=True)
        sys.exit(_exit_code(error))


def _close_bars() -> None:
    """End the line of an open progress bar; without a stage in this process there is none."""
    progress = sys.modules.get("data_pipelines.progress")
    if progress is not None:
        progress.close_bars()


def _expected_errors() -> tuple[type[BaseException], ...]:
    from data_pipelines.errors import DataError
    from flows.errors import FlowError
    from models.errors import ModelError
    from registry.errors import RegistryError

    return (DataError, FlowError, ModelError, RegistryError)


def _message(error: Exception) -> str:
    from flows.runtime.stage_failure import disk_advice

    text = str(error) or type(error).__name__
    if isinstance(error, _expected_errors()):
        return text
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        text = f"{where}{error.strerror or text}"
        return text + disk_advice(text)
    text = " ".join(text.split())
    text = f"unexpected {type(error).__name__}: {text} (--debug shows the traceback)"
    return text + disk_advice(text)


def _exit_code(error: Exception) -> int:
    from flows.errors import StagePreempted
    from models.errors import Preempted
    from models.training.preemption import EXIT_RESUMABLE

    return EXIT_RESUMABLE if isinstance(error, Preempted | StagePreempted) else 1
