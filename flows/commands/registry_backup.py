"""`flanmoe registry backup|restore`: copies of the registry's database."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import FILE, FOLDER, load_workspace, open_registry


@click.command()
@click.option("--to", "folder", type=FOLDER, help="Folder. Default: .flanmoe/backups.")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=48,
    show_default=True,
    help="Number of back-ups to keep in the folder; older ones are deleted.",
)
def backup(folder: Path | None, keep: int) -> None:
    """Copy the registry's database to a SQLite file, and compare all rows.

    Artifacts are files that never change: back up their folder with the tools of the file system.
    """
    from flows.runtime.workspace import STATE, project_of
    from registry.backup import back_up

    root, params = load_workspace()
    store = open_registry(root, params)
    copy = back_up(store.engine, folder or project_of(root) / STATE / "backups", keep=keep)
    click.echo(f"{copy.path}: {copy.num_rows} rows, sha256 {copy.sha256}")


@click.command()
@click.argument("file", type=FILE)
def restore(file: Path) -> None:
    """Copy the back-up FILE to an empty registry, which FLANMOE_DATABASE_URL may name."""
    from registry.backup import restore as copy_back

    root, params = load_workspace()
    store = open_registry(root, params, create=True)
    num_rows = copy_back(file, store.engine)
    click.echo(f"restored {num_rows} rows from {file}")


BACKUP = (backup, restore)
