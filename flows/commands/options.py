"""Options and set-up steps that several commands share. Heavy imports wait for the call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from flows.config.schema import Params
    from registry.store import Registry

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
model_option = click.option(
    "--model", help="Registered model. Default: registry.model in params.yaml."
)
workspace_option = click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Workspace to read. Default: the current project.",
)


def print_json(value: Any) -> None:
    """Print a JSON value; every script of the world is printed as it is."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False))


def load_workspace(folder: Path | None = None) -> tuple[Path, Params]:
    """Return the workspace folder, by default the current one, and its validated parameters.

    Raises:
        NotInProject: without `folder`, and the current directory is in no project.
        InvalidParams: params.yaml has errors.
    """
    from flows.config.load import load_params
    from flows.runtime.workspace import find_project

    workspace = folder.resolve() if folder else find_project()
    return workspace, load_params(workspace / "params.yaml")


def open_registry(workspace: Path, params: Params, *, create: bool = False) -> Registry:
    """Open the registry of the project that a workspace belongs to, or create it."""
    from flows.runtime.project_policy import open_project_registry
    from flows.runtime.workspace import project_of

    return open_project_registry(project_of(workspace), params, create=create)
