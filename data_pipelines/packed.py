"""Packed shards, memory-mapped: all that `models` may import of the data room.

A corpus is a folder of Arrow IPC files of fixed-length rows and a manifest. Columns, int32 lists:
`tokens`, `segments` (encoder side), `target_tokens`, `target_segments` (decoder side). Segment 0
is padding; segments 1.. are the examples of a row, the same number on both sides. Beside them
`tasks` names the task of each segment, by its place in the manifest's list.
"""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_pipelines.errors import CorruptShard, DataError

COLUMNS = (
    "encoder_input_tokens",
    "encoder_segment_ids",
    "decoder_target_tokens",
    "decoder_segment_ids",
)
Batch = dict[str, npt.NDArray[np.int32]]
Shard = dict[str, npt.NDArray[np.int32]]


@dataclass(frozen=True)
class PackedCorpus:
    """Rows of a packed corpus by number. Reading costs no copy until a batch is taken."""

    manifest: dict[str, Any]
    shards: list[Shard]

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """The first row of each shard."""
        sizes = [len(shard["encoder_input_tokens"]) for shard in self.shards]
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

    def filter_tasks(self, patterns: Sequence[str]) -> PackedCorpus:
        """The examples of the tasks whose names match, packed anew in their order, in memory.

        `cot_*` matches as in a shell. Raises DataError for a pattern that no task of this corpus
        matches.
        """
        names = list(self.manifest["by_task"])
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                near = difflib.get_close_matches(pattern, names, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise DataError(
                    f"no task of the packed corpus matches {pattern!r}; {hint}It has "
                    f"{', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
                )
        wanted = [
            number
            for number, name in enumerate(self.manifest["task_names"])
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        ]
        shard = _repacked(self.shards, np.array(wanted))
        text = json.dumps([self.manifest["version"], sorted(patterns)])
        version = hashlib.sha256(text.encode()).hexdigest()[:16]
        manifest = {**self.manifest, "rows": len(shard["encoder_input_tokens"]), "version": version}
        return PackedCorpus(manifest, [shard])


def _repacked(shards: list[Shard], wanted: npt.NDArray[np.int64]) -> Shard:
    """Rows of those segments only, each put into the last row if it fits there (next fit)."""
    sides = (
        ("encoder_input_tokens", "encoder_segment_ids"),
        ("decoder_target_tokens", "decoder_segment_ids"),
    )
    lengths = [shards[0][tokens].shape[1] for tokens, _ in sides]
    made: list[list[list[npt.NDArray[np.int32]]]] = []
    room = [0, 0]
    for shard in shards:
        ends = np.cumsum(shard["task_counts"])
        chosen = np.flatnonzero(np.isin(shard["tasks"], wanted))
        rows = np.searchsorted(ends, chosen, "right")
        firsts = ends - shard["task_counts"]
        for row, segment in zip(rows, chosen - firsts[rows] + 1, strict=True):
            pair = [shard[t][row][shard[s][row] == segment] for t, s in sides]
            if any(len(part) > left for part, left in zip(pair, room, strict=True)):
                made.append([])
                room = list(lengths)
            made[-1].append(pair)
            room = [left - len(part) for left, part in zip(room, pair, strict=True)]
    packed: Shard = {}
    for side, (tokens, segments) in enumerate(sides):
        packed[tokens] = np.zeros((len(made), lengths[side]), np.int32)
        packed[segments] = np.zeros_like(packed[tokens])
        for number, pairs in enumerate(made):
            parts = [pair[side] for pair in pairs]
            filled = sum(map(len, parts))
            packed[tokens][number, :filled] = np.concatenate(parts)
            marks = np.repeat(np.arange(1, len(parts) + 1), list(map(len, parts)))
            packed[segments][number, :filled] = marks
    return packed


def open_shard(folder: Path, entry: dict[str, Any]) -> Shard:
    """Columns of one shard, each `[rows, length]`; beside them `tasks`, those of all its segments
    in order, and `task_counts`, how many a row has. Raises CorruptShard."""
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
    tasks = table.column("tasks").combine_chunks()
    columns["tasks"] = tasks.flatten().to_numpy(zero_copy_only=False)
    columns["task_counts"] = tasks.value_lengths().to_numpy(zero_copy_only=False)
    return columns
