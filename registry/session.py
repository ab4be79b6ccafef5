"""Connection to the database: SQLite by default, PostgreSQL by URL, migrated when opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session

from registry.errors import RegistryUnreachable, UnsupportedRegistry

MIGRATIONS = Path(__file__).parent / "migrations"
URL_VARIABLE = "FLANMOE_DATABASE_URL"
_MIGRATION_LOCK = 724_305_14705  # key of a PostgreSQL advisory lock; any fixed number serves


def database_url(project: Path) -> str:
    """Return FLANMOE_DATABASE_URL, or the URL of a SQLite file in the project's state folder."""
    return os.environ.get(URL_VARIABLE) or f"sqlite:///{project.resolve() / '.flanmoe/registry.db'}"


def open_engine(url: str) -> Engine:
    """Open a database and migrate it to the newest schema.

    Args:
        url: SQLAlchemy URL. Error messages omit its password.

    Raises:
        RegistryUnreachable: the URL is invalid, or the database does not answer.
        UnsupportedRegistry: a newer release migrated the database.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        arguments: dict[str, Any] = {}
        if parsed.get_backend_name() == "postgresql":
            arguments["connect_timeout"] = 10
        engine = create_engine(parsed, connect_args=arguments)
        if engine.dialect.name == "sqlite":
            _serialise_writers(engine)
        _migrate(engine)
        return engine
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise RegistryUnreachable(
            f"{URL_VARIABLE}: not a supported database URL: {error}"
        ) from None
    except (DBAPIError, OSError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise RegistryUnreachable(
            f"the registry at {make_url(url).render_as_string()} cannot be opened: {cause}; "
            f"check that the server runs, or unset {URL_VARIABLE} to use a SQLite file"
        ) from None


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """Yield a session that commits at the end of the block and rolls back on an exception."""
    with Session(engine) as session, session.begin():
        yield session


def _serialise_writers(engine: Engine) -> None:
    """Take SQLite's write lock at BEGIN, so that gates and promotion are one atomic step."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own implicit BEGIN is too late
        connection.execute("PRAGMA busy_timeout = 30000")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK}
            )
        revision = MigrationContext.configure(connection).get_current_revision()
        if revision == head:
            return
        if revision and revision not in {script.revision for script in scripts.walk_revisions()}:
            raise UnsupportedRegistry(
                f"the registry at {engine.url.render_as_string()} has schema revision "
                f"{revision!r}, newer than {head!r}, the newest that this release of flanmoe "
                "supports; upgrade flanmoe"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
