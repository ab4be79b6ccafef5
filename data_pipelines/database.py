"""Joins, sorts and aggregations over Parquet files larger than memory, with DuckDB."""

from __future__ import annotations

import glob
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
    file = str(scratch / "database.duckdb")
    # DuckDB inserts the suffix of its log, .wal, before the first question mark of the path.
    connection = duckdb.connect(":memory:" if "?" in file else file)
    try:
        connection.execute(f"SET memory_limit = '{memory_mb}MB'")
        connection.execute("SET temp_directory = ?", [str(scratch / "spill")])
        # Queries that need an order have an ORDER BY; keeping the scan order would cost memory.
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")
        yield connection
    finally:
        connection.close()


def read_parquet(files: Path) -> str:
    """Return the table function that reads one file, or all files that a pattern matches.

    Args:
        files: path whose last part may be a pattern; the folders are names, whatever their
            characters: neither patterns nor the partitions of a Hive table.
    """
    path = Path(glob.escape(str(files.parent))) / files.name
    return f"read_parquet({quote_literal(path)}, hive_partitioning = false)"


def quote_literal(text: object) -> str:
    """Return a value as an SQL string literal, for statements that accept no parameters."""
    return "'" + str(text).replace("'", "''") + "'"
