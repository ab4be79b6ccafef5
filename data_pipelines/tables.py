"""Parquet files written a batch at a time, so that none has to fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

BATCH = 4096


class RowWriter:
    """Collects rows and writes them out in batches."""

    def __init__(self, file: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._file, self._schema = file, schema
        self._rows: list[dict[str, Any]] = []
        self.count = 0

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self.count += 1
        if len(self._rows) >= BATCH:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, self._schema))
            self._rows = []


@contextmanager
def row_writer(path: Path, schema: pa.Schema) -> Iterator[RowWriter]:
    """Writes rows to `path`; a file without rows is written too."""
    with parquet_writer(path, schema) as file:
        writer = RowWriter(file, schema)
        yield writer
        writer.flush()


@contextmanager
def parquet_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A fast compression: these files are read again at once."""
    with pq.ParquetWriter(path, schema, compression="lz4") as file:
        yield file


def batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The rows of a file, some thousands at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH, columns=columns):
            yield pa.Table.from_batches([batch])


def concatenate(parts: Iterable[Path], target: Path, schema: pa.Schema) -> None:
    """Many files as one, in their order."""
    with parquet_writer(target, schema) as file:
        for part in parts:
            for batch in batches(part):
                file.write_table(batch)
