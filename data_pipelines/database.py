"""Joins, sorts and groupings over Parquet files that may be larger than memory: DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb


@contextmanager
def database(scratch: Path, memory_mb: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that holds at most `memory_mb` and puts the rest into files below `scratch`."""
    # A file, not memory: what a table holds can then leave the memory without being copied.
    connection = duckdb.connect(str(scratch / "database.duckdb"))
    try:
        connection.execute(f"SET memory_limit = '{memory_mb}MB'")
        connection.execute("SET temp_directory = ?", [str(scratch / "spill")])
        # Results are ordered where it matters, by what they say; not by the order of reading.
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")
        yield connection
    finally:
        connection.close()


def literal(text: object) -> str:
    """A value as an SQL text literal, for the places that take no parameter."""
    return "'" + str(text).replace("'", "''") + "'"
