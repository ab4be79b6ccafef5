"""Streaming reads and writes of Parquet files, in batches of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

BATCH_ROWS = 4096


class RowWriter:
    """Buffer rows and write them in batches."""

    def __init__(self, file: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._file, self._schema = file, schema
        self._rows: list[dict[str, Any]] = []
        self.num_rows = 0

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; write the buffer when it has BATCH_ROWS rows."""
        self._rows.append(row)
        self.num_rows += 1
        if len(self._rows) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the buffered rows."""
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, self._schema))
            self._rows = []


@contextmanager
def open_row_writer(path: Path, schema: pa.Schema) -> Iterator[RowWriter]:
    """Open a Parquet file for writing row by row; a file without rows still has the schema."""
    with open_parquet_writer(path, schema) as file:
        writer = RowWriter(file, schema)
        yield writer
        writer.flush()


@contextmanager
def open_parquet_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Open a Parquet file for writing tables."""
    # lz4: the next stage reads these files once, so speed matters more than size.
    with pq.ParquetWriter(path, schema, compression="lz4") as file:
        yield file


def read_batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield the rows of a Parquet file in tables of at most BATCH_ROWS rows."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            yield pa.Table.from_batches([batch])


def concatenate(parts: Iterable[Path], target: Path, schema: pa.Schema) -> None:
    """Write the rows of several Parquet files, in order, to `target`."""
    with open_parquet_writer(target, schema) as file:
        for part in parts:
            for batch in read_batches(part):
                file.write_table(batch)
