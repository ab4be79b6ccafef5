"""Packed shards, memory-mapped: all that `models` may import of the data room.

A corpus is a folder of Arrow IPC files of fixed-length rows and a manifest. Columns, int32 lists:
`tokens`, `segments` (encoder side), `target_tokens`, `target_segments` (decoder side). Segment 0
is padding; segments 1.. are the examples of a row, the same number on both sides. Beside them
`tasks` names the task of each segment, by its place in the manifest's list.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_pipelines.errors import CorruptShard, DataError

COLUMNS = ("tokens", "segments", "target_tokens", "target_segments")
Batch = dict[str, npt.NDArray[np.int32]]


@dataclass(frozen=True)
class PackedCorpus:
    """Rows of a packed corpus by number. Reading costs no copy until a batch is taken."""

    manifest: dict[str, Any]
    shards: list[dict[str, npt.NDArray[np.int32]]]

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """The first row of each shard."""
        sizes = [len(shard["tokens"]) for shard in self.shards]
        return np.cumsum([0, *sizes])[:-1]

    @classmethod
    def open(cls, folder: Path) -> PackedCorpus:
        """Checks every shard against its checksum. Raises DataError or CorruptShard."""
        path = folder / "manifest.json"
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(f"{path} is missing; run `flanmoe pack`") from None
        except ValueError as error:
            raise CorruptShard(f"{path} is not JSON: {error}; run `flanmoe pack`") from None
        if not manifest["rows"]:
            raise DataError(
                f"{folder} holds no rows: the mixture has nothing for it; give "
                "data_pipelines.fetch a source of text, or set data_pipelines.mix.text: examples"
            )
        # A window with nothing to pack leaves a shard without rows.
        entries = [entry for entry in manifest["shards"] if entry["rows"]]
        return cls(manifest, [open_shard(folder, entry) for entry in entries])

    def __len__(self) -> int:
        return int(self.manifest["rows"])

    def take(self, rows: npt.NDArray[np.int64]) -> Batch:
        """The rows, in the given order: each column `[len(rows), length]`."""
        shard = np.searchsorted(self.starts, rows, "right") - 1
        within = rows - self.starts[shard]
        batch: Batch = {}
        for column in COLUMNS:
            places = zip(shard.tolist(), within.tolist(), strict=True)
            batch[column] = np.stack([self.shards[s][column][row] for s, row in places])
        return batch


def open_shard(folder: Path, entry: dict[str, Any]) -> dict[str, npt.NDArray[np.int32]]:
    """Columns of one shard, each `[rows, length]`. Raises CorruptShard."""
    path = folder / entry["file"]
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise CorruptShard(f"{path} is missing; run `flanmoe pack`") from None
    if found != entry["sha256"]:
        raise CorruptShard(
            f"{path} does not match its checksum in manifest.json: it was cut or changed; "
            f"delete {folder} and run `flanmoe pack`"
        )
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    columns = {}
    for column in COLUMNS:
        values = table.column(column).combine_chunks()
        flat = values.values.to_numpy(zero_copy_only=True)
        columns[column] = flat.reshape(len(values), values.type.list_size)
    return columns
