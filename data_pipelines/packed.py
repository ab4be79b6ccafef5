"""Memory-mapped reader of packed corpora, which `models` imports.

A corpus is a folder of Arrow IPC files with fixed-length rows, and a manifest. Columns (int32
lists): `encoder_input_tokens`, `encoder_segment_ids`, `decoder_target_tokens`,
`decoder_segment_ids`. Segment id 0 marks padding; ids 1, 2, ... number the examples of a row and
are the same on both sides. The column `tasks` holds the task of each segment, as an index into the
manifest's `task_names`.
"""

from __future__ import annotations

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
from data_pipelines.files import sha256
from data_pipelines.suggestions import did_you_mean

SIDES = (
    ("encoder_input_tokens", "encoder_segment_ids"),
    ("decoder_target_tokens", "decoder_segment_ids"),
)
"""Token column and segment column of the encoder and of the decoder."""
COLUMNS = tuple(column for side in SIDES for column in side)
Batch = dict[str, npt.NDArray[np.int32]]
"""Each of COLUMNS as int32 [num_rows, length]."""
Shard = dict[str, npt.NDArray[np.int32]]
"""Array by column name; see `open_shard`."""


@dataclass(frozen=True)
class PackedCorpus:
    """Random access to the rows of a packed corpus; `take` copies rows into a batch."""

    manifest: dict[str, Any]
    shards: list[Shard]

    @cached_property
    def shard_starts(self) -> npt.NDArray[np.int64]:
        """Index of the first row of each shard, int64 [num_shards]."""
        sizes = [len(shard["encoder_input_tokens"]) for shard in self.shards]
        return np.cumsum([0, *sizes])[:-1]

    @classmethod
    def open(cls, folder: Path) -> PackedCorpus:
        """Open a corpus and verify the checksum of every shard.

        Raises:
            DataError: the corpus is missing, empty, or was written by an older release.
            CorruptShard: the manifest or a shard is damaged.
        """
        path = folder / "manifest.json"
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(f"{path} is missing; run `flanmoe pack`") from None
        except ValueError as error:
            raise CorruptShard(f"{path} is not JSON: {error}; run `flanmoe pack`") from None
        if "licences" not in manifest:
            raise DataError(
                f"{folder}: the shards were packed by an older release of flanmoe; "
                "run `flanmoe pack`"
            )
        if not manifest["rows"]:
            raise DataError(
                f"{folder} has no rows: the mixture contains no text for it; add a source of text "
                "to data_pipelines.fetch, or set data_pipelines.mix.text: examples"
            )
        # A file of the mixture without any usable pair gives a shard without rows.
        entries = [entry for entry in manifest["shards"] if entry["rows"]]
        return cls(manifest, [open_shard(folder, entry) for entry in entries])

    def __len__(self) -> int:
        return int(self.manifest["rows"])

    def take(self, rows: npt.NDArray[np.int64]) -> Batch:
        """Copy rows into a batch.

        Args:
            rows: row indices, int64 [num_rows], in any order.

        Returns:
            Each of COLUMNS as int32 [num_rows, length], in the order of `rows`.
        """
        shard = np.searchsorted(self.shard_starts, rows, "right") - 1
        row_in_shard = rows - self.shard_starts[shard]
        batch: Batch = {}
        for column in COLUMNS:
            places = zip(shard.tolist(), row_in_shard.tolist(), strict=True)
            batch[column] = np.stack([self.shards[s][column][row] for s, row in places])
        return batch

    def filter_tasks(self, patterns: Sequence[str]) -> PackedCorpus:
        """Return a corpus with the examples of matching tasks only, repacked in memory.

        Args:
            patterns: task names or shell patterns, e.g. `cot_*`.

        Raises:
            DataError: a pattern matches no task of this corpus.
        """
        names = list(self.manifest["by_task"])
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                raise DataError(
                    f"no task of the packed corpus matches {pattern!r}; "
                    f"{did_you_mean(pattern, names)}Its tasks are "
                    f"{', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
                )
        task_ids = [
            number
            for number, name in enumerate(self.manifest["task_names"])
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        ]
        shard = _repack(self.shards, np.array(task_ids))
        selected = {self.manifest["task_names"][task_id] for task_id in task_ids}
        manifest = {
            **self.manifest,
            "rows": len(shard["encoder_input_tokens"]),
            "version": version_of_tasks(self.manifest["version"], patterns),
            "licences": [
                entry
                for entry in self.manifest["licences"]
                if not selected.isdisjoint(entry["tasks"])
            ],
        }
        return PackedCorpus(manifest, [shard])


def _repack(shards: list[Shard], task_ids: npt.NDArray[np.int64]) -> Shard:
    """Pack the segments of the tasks into new rows, in order, by next fit.

    Args:
        shards: shards as `open_shard` returns them.
        task_ids: ids of the selected tasks, int64 [num_tasks].

    Returns:
        Each of COLUMNS as int32 [num_rows, length], without `tasks` and `task_counts`.
    """
    lengths = [shards[0][tokens].shape[1] for tokens, _ in SIDES]
    pairs: list[list[npt.NDArray[np.int32]]] = []
    for shard in shards:
        ends = np.cumsum(shard["task_counts"])
        selected = np.flatnonzero(np.isin(shard["tasks"], task_ids))
        source_rows = np.searchsorted(ends, selected, "right")
        firsts = ends - shard["task_counts"]
        segments = selected - firsts[source_rows] + 1
        for row, segment in zip(source_rows, segments, strict=True):
            pairs.append([shard[t][row][shard[s][row] == segment] for t, s in SIDES])
    encoder, decoder = (np.array([len(pair[side]) for pair in pairs]) for side in (0, 1))
    row_by_pair = next_fit_rows(encoder, decoder, *lengths)
    rows: list[list[list[npt.NDArray[np.int32]]]] = [[] for _ in range(row_by_pair[-1] + 1)]
    for row, pair in zip(row_by_pair.tolist(), pairs, strict=True):
        rows[row].append(pair)
    packed: Shard = {}
    for side, (token_column, segment_column) in enumerate(SIDES):
        packed[token_column] = np.zeros((len(rows), lengths[side]), np.int32)
        packed[segment_column] = np.zeros_like(packed[token_column])
        for number, row_pairs in enumerate(rows):
            parts = [pair[side] for pair in row_pairs]
            num_tokens = sum(map(len, parts))
            packed[token_column][number, :num_tokens] = np.concatenate(parts)
            segment_ids = np.repeat(np.arange(1, len(parts) + 1), list(map(len, parts)))
            packed[segment_column][number, :num_tokens] = segment_ids
    return packed


def next_fit_rows(
    encoder: npt.NDArray[Any], decoder: npt.NDArray[Any], encoder_length: int, decoder_length: int
) -> npt.NDArray[np.int64]:
    """Assign segments to rows, in order: a segment that does not fit starts the next row.

    Args:
        encoder: encoder tokens of each segment, int [num_segments].
        decoder: decoder tokens of each segment, int [num_segments].
        encoder_length: encoder tokens per row.
        decoder_length: decoder tokens per row.

    Returns:
        Row of each segment, int64 [num_segments].
    """
    rows = []
    row, free_e, free_d = -1, 0, 0
    for size_e, size_d in zip(encoder.tolist(), decoder.tolist(), strict=True):
        if size_e > free_e or size_d > free_d:
            row, free_e, free_d = row + 1, encoder_length, decoder_length
        free_e -= size_e
        free_d -= size_d
        rows.append(row)
    return np.array(rows, np.int64)


def manifest_version(manifest: dict[str, Any]) -> str:
    """Return the version of a corpus: a digest of its manifest, with the shards' checksums.

    `licences` do not count: they are not data.
    """
    content = {k: v for k, v in manifest.items() if k not in ("version", "licences")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def version_of_tasks(version: str, patterns: Sequence[str]) -> str:
    """Return the version of the rows that `filter_tasks` selects from a corpus."""
    text = json.dumps([version, sorted(patterns)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def open_shard(folder: Path, entry: dict[str, Any]) -> Shard:
    """Memory-map one shard.

    Args:
        folder: folder of the corpus.
        entry: the shard's entry in the manifest (`file`, `sha256`, `rows`).

    Returns:
        Each of COLUMNS as int32 [rows, length]; `tasks`, the task ids of all segments in row
        order, int32 [num_segments]; `task_counts`, the number of segments per row, int32 [rows].

    Raises:
        CorruptShard: the file is missing or does not match its checksum.
    """
    table = open_verified_table(folder, entry["file"], entry["sha256"])
    columns = {}
    for column in COLUMNS:
        values = table.column(column).combine_chunks()
        flat = values.values.to_numpy(zero_copy_only=True)
        columns[column] = flat.reshape(len(values), values.type.list_size)
    tasks = table.column("tasks").combine_chunks()
    columns["tasks"] = tasks.flatten().to_numpy(zero_copy_only=False)
    columns["task_counts"] = tasks.value_lengths().to_numpy(zero_copy_only=False)
    return columns


def open_verified_table(folder: Path, file: str, digest: str) -> pa.Table:
    """Memory-map an Arrow file of a packed corpus after checking its checksum.

    Args:
        folder: folder of the corpus.
        file: path of the file, relative to the folder.
        digest: expected SHA-256.

    Raises:
        CorruptShard: the file is missing or does not match its checksum.
    """
    path = folder / file
    try:
        actual = sha256(path)
    except FileNotFoundError:
        raise CorruptShard(f"{path} is missing; run `flanmoe pack`") from None
    if actual != digest:
        raise CorruptShard(
            f"{path} does not match its checksum in manifest.json: it is truncated or was "
            f"modified; delete {folder} and run `flanmoe pack`"
        )
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
