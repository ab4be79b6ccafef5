"""Connection to the database: SQLite by default, PostgreSQL by URL, migrated when opened."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.orm import Session

from registry.errors import MissingRegistry, RegistryUnreachable, UnsupportedRegistry
from registry.query.case import add_casefold

MIGRATIONS = Path(__file__).parent / "migrations"
URL_VARIABLE = "FLANMOE_DATABASE_URL"
_EXPECTED = "expected sqlite:////folder/registry.db or postgresql://user:password@host:5432/name"
_PORT_ERROR = "a URL whose port is not a number"
_PASSWORD = re.compile(r"(//[^:/@]*):.*@", re.DOTALL)
WRITE_TIMEOUT_S = 60
"""How long a change waits for other processes that write the same SQLite file."""
_MAX_PAUSE_S = 0.02
_WRITES = "flanmoe_writes"
"""Execution option of connections whose transaction changes the database."""
_MIGRATION_LOCK = 724_305_14705  # key of a PostgreSQL advisory lock; any fixed number serves


def database_url(project: Path) -> URL:
    """Return FLANMOE_DATABASE_URL, or the URL of a SQLite file in the project's state folder.

    Raises:
        RegistryUnreachable: the variable is not the URL of a supported database.
    """
    configured = os.environ.get(URL_VARIABLE, "").strip()
    return parse_url(configured) if configured else default_url(project)


def default_url(project: Path) -> URL:
    """Return the URL of the SQLite file in the project's state folder."""
    return file_url(project / ".flanmoe" / "registry.db")


def file_url(path: Path) -> URL:
    """Return the URL of a SQLite file."""
    return URL.create("sqlite", database=str(path.resolve()))


def parse_url(text: str) -> URL:
    """Parse the URL of a SQLite file or a PostgreSQL database; `postgres://` is accepted.

    Raises:
        RegistryUnreachable: the URL is invalid or of another kind of database.
    """
    # A password may contain any character, so it ends at the last @.
    shown = _PASSWORD.sub(r"\1:***@", text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        reason = _PORT_ERROR if isinstance(error, ValueError) else "not a URL"
        raise RegistryUnreachable(f"{URL_VARIABLE}: {shown} is {reason}; {_EXPECTED}") from None
    backend = url.drivername.partition("+")[0]
    if backend in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not url.database or url.database == ":memory:":
        problem = f"a {backend} database" if backend != "sqlite" else "no file"
        raise RegistryUnreachable(
            f"{URL_VARIABLE}: {shown} is {problem}, which is not supported; {_EXPECTED}"
        )
    return url.set(drivername="sqlite")


def open_engine(url: URL | str, *, create: bool = True) -> Engine:
    """Open a registry's database and migrate it to the newest schema.

    Args:
        url: SQLAlchemy URL, or its text. Error messages omit its password.
        create: whether to create the registry if the database is empty or the SQLite file missing;
            a SQLite file is created only in an existing folder.

    Raises:
        RegistryUnreachable: the URL is invalid, or the database does not answer.
        MissingRegistry: `create` is False, and the database has no registry.
        UnsupportedRegistry: a newer release, or another program, made the database's schema.
    """
    parsed = parse_url(url) if isinstance(url, str) else url
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite:
        _check_file(Path(str(parsed.database)), create=create)
    try:
        # A connection that a restart of the server broke is replaced when it is used again.
        engine = create_engine(
            parsed,
            connect_args={} if is_sqlite else {"connect_timeout": 10},
            pool_pre_ping=not is_sqlite,
        )
        if is_sqlite:
            _serialise_writers(engine)
        _migrate(engine, create=create)
        return engine
    except ModuleNotFoundError as error:
        raise RegistryUnreachable(
            f"{URL_VARIABLE}: the driver {error.name} is not installed; `pip install {error.name}`"
        ) from None
    except (DBAPIError, OSError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise RegistryUnreachable(
            f"the registry at {_shown(parsed)} cannot be opened: {cause}; "
            f"check that the server runs, or unset {URL_VARIABLE} to use a SQLite file"
        ) from None


def open_empty() -> Engine:
    """Open an empty registry in memory, in place of one that does not exist yet."""
    # One connection for all threads: each connection would have a database of its own.
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    event.listen(engine, "connect", lambda connection, _: add_casefold(connection))
    _migrate(engine, create=True)
    return engine


def _shown(url: URL) -> str:
    """Return the path of a SQLite file, or a URL without its password."""
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string()


def _check_file(path: Path, *, create: bool) -> None:
    if path.is_file():
        return
    if path.exists():
        raise RegistryUnreachable(f"{URL_VARIABLE}: {path} is not a file; name a SQLite file")
    if not create:
        raise MissingRegistry(
            f"the registry {path.absolute()} does not exist; correct {URL_VARIABLE}, or create it "
            "with `flanmoe run`"
        )
    if not path.parent.is_dir():
        raise RegistryUnreachable(
            f"{URL_VARIABLE}: the folder {path.parent.absolute()} does not exist; create it, or "
            "correct the variable"
        )


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """Yield a session that commits at the end of the block and rolls back on an exception.

    Raises:
        RegistryUnreachable: the database is locked by another process, read-only or gone.
    """
    with _explain_failures(engine), Session(engine) as session:
        # SQLite takes the write lock at BEGIN.
        session.connection(execution_options={_WRITES: True})
        yield session
        session.flush()
        with _explain_failures(engine, is_commit=True):
            session.commit()


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Yield a session for queries; it takes no write lock and never commits.

    Raises:
        RegistryUnreachable: the database is locked by another process, or gone.
    """
    with _explain_failures(engine), Session(engine) as session:
        yield session


@contextmanager
def connect_snapshot(engine: Engine) -> Iterator[Connection]:
    """Yield a connection whose queries all see the database as it is now.

    Raises:
        RegistryUnreachable: the database is locked by another process, or gone.
    """
    isolation = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name != "sqlite" else {}
    with _explain_failures(engine), engine.connect().execution_options(**isolation) as connection:
        yield connection


@contextmanager
def _explain_failures(engine: Engine, *, is_commit: bool = False) -> Iterator[None]:
    """Turn a failure of the database into one line; errors in SQL stay as they are."""
    try:
        yield
    except DBAPIError as error:
        is_failure = isinstance(error, OperationalError | InterfaceError)
        if not (is_failure or error.connection_invalidated or type(error) is DatabaseError):
            raise
        cause = str(error.orig).strip().splitlines()[0]
        is_lost = is_commit and error.connection_invalidated
        raise RegistryUnreachable(
            f"the registry at {_shown(engine.url)} did not answer: {cause}; "
            f"{_LOST_COMMIT if is_lost else _advice(cause)}"
        ) from None


_LOST_COMMIT = (
    "whether the change was made is unknown: see `flanmoe registry history` before you try again"
)


def _advice(cause: str) -> str:
    if "locked" in cause:
        return "another process is writing without an end; try again, or stop that process"
    if "readonly" in cause:
        return "make the file and its folder writable"
    if "malformed" in cause or "not a database" in cause:
        return "the file is damaged: restore it from a backup"
    if "full" in cause:
        return "free space on the disk, then try again; nothing was changed"
    return "check that the database server runs, then try again; nothing was changed"


def _serialise_writers(engine: Engine) -> None:
    """Take SQLite's write lock at the BEGIN of a writing transaction.

    So gates and promotion are one atomic step, and readers do not wait for each other.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own implicit BEGIN is too late
        connection.execute(f"PRAGMA busy_timeout = {1000 * WRITE_TIMEOUT_S}")
        connection.execute("PRAGMA foreign_keys = ON")
        add_casefold(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES, False):
            _lock_file(connection)
        else:
            connection.exec_driver_sql("BEGIN")


def _lock_file(connection: Connection) -> None:
    """Begin a writing transaction when no other process writes.

    SQLite itself asks 10 times a second, so that one of many busy processes may never have a turn.
    """
    deadline = time.monotonic() + WRITE_TIMEOUT_S
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                if "locked" not in str(error.orig) or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0, _MAX_PAUSE_S))
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * WRITE_TIMEOUT_S}")


def _migrate(engine: Engine, *, create: bool) -> None:
    scripts = ScriptDirectory.from_config(_alembic_config())
    with engine.connect() as connection:  # most often nothing is to do: take no lock
        if _is_current(connection, scripts, create=create):
            return
    with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        _lock_migrations(connection)
        if not _is_current(connection, scripts, create=create):
            _upgrade(connection)


def downgrade(engine: Engine, revision: str) -> None:
    """Migrate a registry to an earlier schema revision, for an earlier release of flanmoe.

    What the earlier schema has no place for is stored and restored by the next upgrade.

    Args:
        engine: of the open registry.
        revision: an earlier revision, such as `0001` (release 0.1.0).

    Raises:
        UnsupportedRegistry: there is no such revision.
    """
    scripts = ScriptDirectory.from_config(_alembic_config())
    known = sorted(script.revision for script in scripts.walk_revisions())
    if revision not in known:
        raise UnsupportedRegistry(
            f"schema revision {revision!r} is unknown; expected one of {', '.join(known)}"
        )
    with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        _lock_migrations(connection)
        command.downgrade(_alembic_config(connection), revision)


def _alembic_config(connection: Connection | None = None) -> Config:
    config = Config()
    config.attributes["connection"] = connection
    # ConfigParser, which Alembic uses, interpolates a single %.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


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
            f"the database {_shown(connection.engine.url)} has no registry; correct "
            f"{URL_VARIABLE}, or create it with `flanmoe run`"
        )
    unknown = set(revisions) - {script.revision for script in scripts.walk_revisions()}
    if unknown:
        raise UnsupportedRegistry(
            f"the registry at {_shown(connection.engine.url)} has schema revision "
            f"{min(unknown)!r}, newer than {head!r}, the newest that this release of flanmoe "
            "supports; upgrade flanmoe"
        )
    return revisions == (head,)


def _upgrade(connection: Connection) -> None:
    command.upgrade(_alembic_config(connection), "head")
