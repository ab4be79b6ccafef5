"""`flanmoe registry …` as commands. Imports wait until a command is called."""

from __future__ import annotations

from collections.abc import Callable

import click


@click.group()
def registry() -> None:
    """Registered versions: list, show, frontier, promote, history."""


def _model_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--model", help="Registered model. Default: registry.model in params.yaml."
    )(command)


def _json_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--json", "as_json", is_flag=True, help="For scripts.")(command)


@registry.command("list")
@click.option("--model", help="Only versions of this model.")
@_json_option
def registry_list(model: str | None, as_json: bool) -> None:
    """List all registered versions."""
    from flows.commands import registry as registry_commands

    registry_commands.list_versions(model, as_json)


@registry.command("show")
@click.argument("version", type=int)
@_model_option
@_json_option
def registry_show(version: int, model: str | None, as_json: bool) -> None:
    """Show a version with its run and evaluation records."""
    from flows.commands import registry as registry_commands

    registry_commands.show(model, version, as_json)


@registry.command("frontier")
@click.option(
    "--cost",
    default="token",
    show_default=True,
    help="token, item (FLOPs of each), time (measured, an item), or training (FLOPs).",
)
@_model_option
@_json_option
def registry_frontier(cost: str, model: str | None, as_json: bool) -> None:
    """Accuracy against cost: which versions no other beats on both, MoE beside dense."""
    from flows.commands import registry as registry_commands

    registry_commands.frontier(model, cost, as_json)


@registry.command("promote")
@click.argument("version", type=int)
@_model_option
@click.option("--override", default="", metavar="REASON", help="Promote against the gates.")
@_json_option
def registry_promote(version: int, model: str | None, override: str, as_json: bool) -> None:
    """Make VERSION the champion, if the gates let it."""
    from flows.commands import registry as registry_commands

    registry_commands.promote(model, version, override, as_json)


@registry.command("history")
@click.option("--model", help="Only changes of this model's versions.")
@_json_option
def registry_history(model: str | None, as_json: bool) -> None:
    """List every change of stage, with who and why."""
    from flows.commands import registry as registry_commands

    registry_commands.history(model, as_json)
