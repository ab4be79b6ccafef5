"""Copies of a registry's database: back-up to a SQLite file, and restore to an empty database.

A copy is read row by row through SQLAlchemy, so that a registry can move between SQLite and
PostgreSQL, and every back-up is proved by comparing all rows.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, insert, select, text

from registry.database_url import file_url
from registry.errors import BackupFailed
from registry.files import sha256
from registry.session import connect_snapshot, open_engine
from registry.tables import RegistryBase, as_utc

BATCH_ROWS = 1000
PATTERN = "registry-*.db"


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A back-up that was compared with the registry."""

    path: Path
    num_rows: int
    sha256: str


def back_up(engine: Engine, folder: Path, *, keep: int) -> Backup:
    """Copy a registry to a new SQLite file in a folder, and compare all rows.

    Args:
        engine: of the open registry.
        folder: receives `registry-TIME.db`; it is created.
        keep: number of back-ups to keep; older ones are deleted after the new one is proved.

    Raises:
        BackupFailed: the copy differs from the registry.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"registry-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.db"
    partial = folder / f".{name}.partial"
    with connect_snapshot(engine) as source:
        target = open_engine(file_url(partial))
        try:
            num_rows = copy_rows(source, target)
            _compare(source, target, partial)
        except BaseException:
            target.dispose()
            partial.unlink(missing_ok=True)
            raise
        target.dispose()
    path = folder / name
    os.replace(partial, path)
    for old in sorted(folder.glob(PATTERN))[:-keep]:
        old.unlink()
    return Backup(path=path, num_rows=num_rows, sha256=sha256(path))


def restore(path: Path, engine: Engine) -> int:
    """Copy a back-up to an empty registry, and compare all rows; return their number.

    Args:
        path: a file of `back_up`. A back-up of an earlier release is migrated in a copy.
        engine: of an open registry without models.

    Raises:
        BackupFailed: the registry is not empty, or the copy differs.
        MissingRegistry: the file is missing or has no registry.
    """
    source_engine = open_engine(file_url(path), create=False)
    try:
        with connect_snapshot(source_engine) as source:
            with connect_snapshot(engine) as target:
                num_present = sum(_count_rows(target).values())
            if num_present:
                raise BackupFailed(
                    f"{path}: the registry is not empty ({num_present} rows); restore to a new "
                    "database, and set FLANMOE_DATABASE_URL to it"
                )
            num_rows = copy_rows(source, engine)
            _compare(source, engine, path)
            return num_rows
    finally:
        source_engine.dispose()


def copy_rows(source: Connection, target: Engine) -> int:
    """Copy all rows to an empty registry in one transaction, and return their number."""
    num_rows = 0
    with target.begin() as connection:
        for table in _tables():
            for batch in _read_batches(source, table):
                connection.execute(insert(table), batch)
                num_rows += len(batch)
            if connection.dialect.name == "postgresql" and "id" in table.c:
                # Rows with explicit ids do not advance the sequence.
                connection.execute(
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), "  # noqa: S608
                        f"(SELECT coalesce(max(id), 0) + 1 FROM {table.name}), false)"
                    )
                )
    return num_rows


def _tables() -> list[Table]:
    """Return the tables; each refers only to tables before it."""
    return RegistryBase.metadata.sorted_tables


def _read_batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    query = select(table).order_by(*table.primary_key)
    for rows in connection.execute(query).mappings().partitions(BATCH_ROWS):
        yield [
            {
                key: as_utc(value) if isinstance(value, datetime) else value
                for key, value in row.items()
            }
            for row in rows
        ]


def _count_rows(connection: Connection) -> dict[str, int]:
    return {
        table.name: connection.scalar(select(func.count()).select_from(table)) or 0
        for table in _tables()
    }


def _compare(source: Connection, target: Engine, path: Path) -> None:
    """Check that both databases have the same rows.

    Raises:
        BackupFailed: a table differs.
    """
    with connect_snapshot(target) as copy:
        for table in _tables():
            if _digest(source, table) != _digest(copy, table):
                raise BackupFailed(
                    f"{path}: table {table.name} differs from the registry; run the back-up again"
                )


def _digest(connection: Connection, table: Table) -> str:
    """Return a hash of all rows of a table."""
    digest = hashlib.sha256()
    for batch in _read_batches(connection, table):
        for row in batch:
            digest.update(repr([(key, _comparable(value)) for key, value in row.items()]).encode())
    return digest.hexdigest()


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):  # PostgreSQL's JSON type keeps the order, its JSONB does not
        return sorted((key, _comparable(entry)) for key, entry in value.items())
    if isinstance(value, list):
        return [_comparable(entry) for entry in value]
    return value
