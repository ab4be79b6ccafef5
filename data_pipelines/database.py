"""Joins, sorts and aggregations over Parquet files larger than memory, with DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb


@contextmanager
def open_database(scratch: Path, memory_mb: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database that uses at most `memory_mb` of memory and spills to disk.

    Args:
        scratch: existing folder for the database file and its spill files.
        memory_mb: memory limit in MB (10^6 bytes).
    """
    # A database on disk: DuckDB can evict its tables without copying them to the spill folder.
    connection = duckdb.connect(str(scratch / "database.duckdb"))
    try:
        connection.execute(f"SET memory_limit = '{memory_mb}MB'")
        connection.execute("SET temp_directory = ?", [str(scratch / "spill")])
        # Queries that need an order have an ORDER BY; keeping the scan order would cost memory.
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")
        yield connection
    finally:
        connection.close()


def quote_literal(text: object) -> str:
    """Return a value as an SQL string literal, for statements that accept no parameters."""
    return "'" + str(text).replace("'", "''") + "'"
