"""`flanmoe registry rollback|reject|reinstate|pin|unpin|alias|tag|describe|note`.

Decisions and remarks of people; programs respect them.
"""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from flows.commands.options import load_workspace, model_option, open_registry

if TYPE_CHECKING:
    from registry.store import Registry

reason_option = click.option(
    "--reason", required=True, metavar="TEXT", help="Why; recorded in the history."
)


def _open(model: str | None) -> tuple[Registry, str]:
    root, params = load_workspace()
    return open_registry(root, params), model or params.registry.model


def _check_usage(is_valid: bool, message: str) -> None:
    if not is_valid:
        raise click.UsageError(message)


@click.command()
@model_option
@reason_option
@click.option(
    "--from",
    "expected",
    type=int,
    metavar="VERSION",
    help="Roll back only if this version is champion, as another person may have been faster.",
)
def rollback(model: str | None, reason: str, expected: int | None) -> None:
    """Make the previous champion champion again.

    The present champion is rejected: no program promotes it again until `reinstate`.
    """
    store, name = _open(model)
    before, after = store.roll_back(name, actor=getpass.getuser(), reason=reason, expected=expected)
    if after is None:
        click.echo(f"version {before} of {name!r} is rejected; {name!r} now has no champion")
    else:
        click.echo(f"version {after} of {name!r} is champion again; version {before} is rejected")


@click.command()
@click.argument("version", type=int)
@model_option
@reason_option
def reject(version: int, model: str | None, reason: str) -> None:
    """Reject VERSION: no program promotes it."""
    store, name = _open(model)
    store.reject(name, version, actor=getpass.getuser(), reason=reason)
    click.echo(f"version {version} of {name!r} is rejected")


@click.command()
@click.argument("version", type=int)
@model_option
@reason_option
def reinstate(version: int, model: str | None, reason: str) -> None:
    """Undo the rejection of VERSION."""
    store, name = _open(model)
    store.reinstate(name, version, actor=getpass.getuser(), reason=reason)
    click.echo(f"version {version} of {name!r} is reinstated")


@click.command()
@click.argument("version", type=int)
@model_option
@click.option("--reason", default="", metavar="TEXT", help="Why; recorded in the history.")
def pin(version: int, model: str | None, reason: str) -> None:
    """Pin VERSION: if it is champion it is not replaced, and its artifacts are never removed."""
    store, name = _open(model)
    store.set_pinned(name, version, True, actor=getpass.getuser(), reason=reason)
    click.echo(f"version {version} of {name!r} is pinned")


@click.command()
@click.argument("version", type=int)
@model_option
@click.option("--reason", default="", metavar="TEXT", help="Why; recorded in the history.")
def unpin(version: int, model: str | None, reason: str) -> None:
    """Undo `pin VERSION`."""
    store, name = _open(model)
    store.set_pinned(name, version, False, actor=getpass.getuser(), reason=reason)
    click.echo(f"version {version} of {name!r} is not pinned")


@click.command()
@click.argument("alias")
@click.argument("version", type=int, required=False)
@model_option
@click.option("--remove", is_flag=True, help="Remove ALIAS.")
def alias(alias: str, version: int | None, model: str | None, remove: bool) -> None:
    """Name VERSION: `alias staging 7`; the alias `champion` is set by promotion only."""
    _check_usage(remove != (version is not None), "name a VERSION, or use --remove")
    store, name = _open(model)
    store.set_alias(name, alias, version, actor=getpass.getuser())
    target = "is removed" if version is None else f"is version {version}"
    click.echo(f"alias {alias!r} of {name!r} {target}")


@click.command()
@click.argument("version", type=int)
@click.argument("assignment", metavar="KEY[=VALUE]")
@model_option
@click.option("--remove", is_flag=True, help="Remove the tag KEY.")
def tag(version: int, assignment: str, model: str | None, remove: bool) -> None:
    """Tag VERSION with a key and a value."""
    key, separator, value = assignment.partition("=")
    _check_usage(not (remove and separator), "--remove expects KEY without a value")
    store, name = _open(model)
    store.set_tag(name, version, key, None if remove else value, actor=getpass.getuser())
    click.echo(f"tag {key!r} of version {version} is {'removed' if remove else 'set'}")


@click.command()
@click.argument("text")
@click.option("--version", type=int, help="Describe this version instead of the model.")
@model_option
def describe(text: str, version: int | None, model: str | None) -> None:
    """Set the description of the model, or of a version, to TEXT."""
    store, name = _open(model)
    store.describe(name, version, text, actor=getpass.getuser())
    click.echo("described " + (f"version {version} of {name!r}" if version else repr(name)))


@click.command()
@click.argument("version", type=int)
@click.argument("text")
@model_option
def note(version: int, text: str, model: str | None) -> None:
    """Add the remark TEXT to VERSION; `show` prints all remarks."""
    store, name = _open(model)
    store.add_note(name, version, text, actor=getpass.getuser())
    click.echo(f"noted for version {version} of {name!r}")


@click.command()
@click.option(
    "--to", "revision", required=True, metavar="REVISION", help="Schema revision, e.g. 0001."
)
def downgrade(revision: str) -> None:
    """Migrate the registry to an earlier schema, for an earlier release of flanmoe.

    0001 is the schema of release 0.1.0. What it has no place for is stored, and restored when this
    release opens the registry again.
    """
    from registry.schema import downgrade as migrate_down

    store, _ = _open(None)
    migrate_down(store.engine, revision)
    click.echo(f"the registry has schema revision {revision}")


INTERVENTIONS = (
    rollback,
    reject,
    reinstate,
    pin,
    unpin,
    alias,
    tag,
    describe,
    note,
    downgrade,
)
