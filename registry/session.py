"""Connection to the database: SQLite by default, PostgreSQL by URL, migrated when opened."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.orm import Session

from registry.database_url import URL_VARIABLE, parse_url, show_url
from registry.errors import MissingRegistry, RegistryUnreachable
from registry.query.case import add_casefold
from registry.schema import WRITES, migrate

WRITE_TIMEOUT_S = 60
"""How long a change waits for other processes that write the same SQLite file."""
_MAX_PAUSE_S = 0.02


def open_engine(url: URL | str, *, create: bool = True, wait_s: float = WRITE_TIMEOUT_S) -> Engine:
    """Open a registry's database and migrate it to the newest schema.

    Args:
        url: SQLAlchemy URL, or its text. Error messages omit its password.
        create: whether to create the registry if the database is empty or the SQLite file missing;
            a SQLite file is created only in an existing folder.
        wait_s: how long a statement waits for another process that has locked the database.

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
            connect_args=_connect_args(parsed, wait_s),
            pool_pre_ping=not is_sqlite,
        )
        if is_sqlite:
            _serialise_writers(engine, wait_s)
        migrate(engine, create=create)
        return engine
    except ModuleNotFoundError as error:
        raise RegistryUnreachable(
            f"{URL_VARIABLE}: the driver {error.name} is not installed; `pip install {error.name}`"
        ) from None
    except (DBAPIError, OSError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise RegistryUnreachable(
            f"the registry at {show_url(parsed)} cannot be opened: {cause}; "
            f"check that the server runs, or unset {URL_VARIABLE} to use a SQLite file"
        ) from None


def _connect_args(url: URL, wait_s: float) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"uri": True}
    limit = {} if wait_s >= WRITE_TIMEOUT_S else {"options": f"-c lock_timeout={wait_s:g}s"}
    return {"connect_timeout": 10, **limit}


def open_empty() -> Engine:
    """Open an empty registry in memory, in place of one that does not exist yet."""
    # One connection for all threads: each connection would have a database of its own.
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    event.listen(engine, "connect", lambda connection, _: add_casefold(connection))
    migrate(engine, create=True)
    return engine


def _check_file(path: Path, *, create: bool) -> None:
    """Check that a SQLite file exists, or create an empty one.

    Raises:
        RegistryUnreachable: it is not a file, or its folder does not exist or is not writable.
        MissingRegistry: `create` is False, and it does not exist.
    """
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
    try:
        path.touch()
    except OSError as error:
        raise RegistryUnreachable(
            f"{URL_VARIABLE}: {path.absolute()} cannot be created: {error.strerror}; make the "
            "folder writable"
        ) from None


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """Yield a session that commits at the end of the block and rolls back on an exception.

    Raises:
        RegistryUnreachable: the database is locked by another process, read-only or gone.
    """
    with _explain_failures(engine), Session(engine) as session:
        # SQLite takes the write lock at BEGIN.
        session.connection(execution_options={WRITES: True})
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
            f"the registry at {show_url(engine.url)} did not answer: {cause}; "
            f"{_LOST_COMMIT if is_lost else _advice(cause)}"
        ) from None


_LOST_COMMIT = (
    "whether the change was made is unknown: see `flanmoe registry history` before you try again"
)


def _advice(cause: str) -> str:
    if "locked" in cause:
        return "another process is writing without an end; try again, or stop that process"
    if "unable to open" in cause:
        return "the file is missing or not readable: restore it from a backup"
    if "readonly" in cause:
        return "make the file and its folder writable"
    if "malformed" in cause or "not a database" in cause:
        return "the file is damaged: restore it from a backup"
    if "full" in cause:
        return "free space on the disk, then try again; nothing was changed"
    return "check that the database server runs, then try again; nothing was changed"


def _serialise_writers(engine: Engine, wait_s: float) -> None:
    """Take SQLite's write lock at the BEGIN of a writing transaction.

    So gates and promotion are one atomic step, and readers do not wait for each other.

    Args:
        engine: of a SQLite file.
        wait_s: how long a statement waits for another process.
    """

    @event.listens_for(engine, "do_connect")
    def _open_existing(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
        # A file that is removed while the engine is in use is not created again.
        arguments[0] = f"file:{quote(str(Path(arguments[0]).absolute()))}?mode=rw"

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own implicit BEGIN is too late
        connection.execute(f"PRAGMA busy_timeout = {round(1000 * wait_s)}")
        connection.execute("PRAGMA foreign_keys = ON")
        add_casefold(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(WRITES, False):
            _lock_file(connection, wait_s)
        else:
            connection.exec_driver_sql("BEGIN")


def _lock_file(connection: Connection, wait_s: float) -> None:
    """Begin a writing transaction when no other process writes.

    SQLite itself asks 10 times a second, so that one of many busy processes may never have a turn.
    """
    deadline = time.monotonic() + wait_s
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
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(1000 * wait_s)}")
