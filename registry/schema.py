"""Schema of the database: Alembic's migrations, and which of them a database has."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    ColumnClause,
    Connection,
    Engine,
    ScalarSelect,
    column,
    select,
    table,
    text,
)

from registry.database_url import URL_VARIABLE, show_url
from registry.errors import MissingRegistry, UnsupportedRegistry

MIGRATIONS = Path(__file__).parent / "migrations"
WRITES = "flanmoe_writes"
"""Execution option of connections whose transaction changes the database."""
_MIGRATION_LOCK = 724_305_14705  # key of a PostgreSQL advisory lock; any fixed number serves


def migrate(engine: Engine, *, create: bool) -> None:
    """Migrate a database to the newest schema.

    Args:
        engine: of the database.
        create: whether to create the registry in an empty database.

    Raises:
        MissingRegistry: the database has no registry, and `create` is False.
        UnsupportedRegistry: a newer release migrated it.
    """
    scripts = _scripts()
    with engine.connect() as connection:  # most often nothing is to do: take no lock
        if _is_current(connection, scripts, create=create):
            return
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        _lock_migrations(connection)
        if not _is_current(connection, scripts, create=create):
            _upgrade(connection)


def read_schema_revision() -> ScalarSelect[str]:
    """Return the subquery of a database's schema revision."""
    revision: ColumnClause[str] = column("version_num")
    return select(revision).select_from(table("alembic_version")).scalar_subquery()


def is_newest(revision: str) -> bool:
    """Return whether a schema revision is that of this release."""
    return revision == _scripts().get_current_head()


def require_newest_schema(connection: Connection) -> None:
    """Check that a registry still has the schema of this release: others may migrate it.

    Raises:
        MissingRegistry: the registry is gone.
        UnsupportedRegistry: another release migrated it since it was opened.
    """
    if not _is_current(connection, _scripts(), create=False):
        raise UnsupportedRegistry(
            f"the registry at {show_url(connection.engine.url)} was migrated to an earlier schema; "
            "open it again"
        )


def downgrade(engine: Engine, revision: str) -> None:
    """Migrate a registry to an earlier schema revision, for an earlier release of flanmoe.

    What the earlier schema has no place for is stored and restored by the next upgrade.

    Args:
        engine: of the open registry.
        revision: an earlier revision, such as `0001` (release 0.1.0).

    Raises:
        UnsupportedRegistry: there is no such revision.
    """
    known = sorted(script.revision for script in _scripts().walk_revisions())
    if revision not in known:
        raise UnsupportedRegistry(
            f"schema revision {revision!r} is unknown; expected one of {', '.join(known)}"
        )
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        _lock_migrations(connection)
        command.downgrade(_alembic_config(connection), revision)


def _alembic_config(connection: Connection | None = None, folder: Path | None = None) -> Config:
    config = Config()
    config.attributes["connection"] = connection
    # ConfigParser, which Alembic uses, interpolates a single %.
    config.set_main_option("script_location", str(folder or MIGRATIONS).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    """Return the migrations of this release."""
    return _read_scripts(MIGRATIONS)


@cache
def _read_scripts(folder: Path) -> ScriptDirectory:
    """Read the migrations of a folder once."""
    return ScriptDirectory.from_config(_alembic_config(folder=folder))


def _lock_migrations(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})


def _is_current(connection: Connection, scripts: ScriptDirectory, *, create: bool) -> bool:
    """Return whether the database has the newest schema.

    Raises:
        MissingRegistry: it has no registry, and `create` is False.
        UnsupportedRegistry: a newer release migrated it.
    """
    head = scripts.get_current_head()
    revisions = MigrationContext.configure(connection).get_current_heads()
    if not revisions and not create:
        raise MissingRegistry(
            f"the database {show_url(connection.engine.url)} has no registry; correct "
            f"{URL_VARIABLE}, or create it with `flanmoe run`"
        )
    unknown = set(revisions) - {script.revision for script in scripts.walk_revisions()}
    if unknown:
        raise UnsupportedRegistry(
            f"the registry at {show_url(connection.engine.url)} has schema revision "
            f"{min(unknown)!r}, newer than {head!r}, the newest that this release of flanmoe "
            "supports; upgrade flanmoe"
        )
    return revisions == (head,)


def _upgrade(connection: Connection) -> None:
    command.upgrade(_alembic_config(connection), "head")
