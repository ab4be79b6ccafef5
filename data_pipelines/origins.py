"""Origins of packed examples: the source row of every segment of a packed corpus.

Next to each shard, `origins/NAME.arrow` has a row per segment, in the order of the shard's rows and
segments. The token shards are not read, so that questions about a large corpus are fast.
"""

from __future__ import annotations

import fnmatch
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_pipelines.errors import CorruptShard, DataError, DataVersionChanged
from data_pipelines.files import sha256
from data_pipelines.packed import (
    manifest_version,
    next_fit_rows,
    open_verified_table,
    version_of_tasks,
)
from data_pipelines.params import PRETRAINING_OBJECTIVES

FOLDER = "origins"
_NAME = pa.dictionary(pa.int32(), pa.string())
ORIGIN_SCHEMA = pa.schema(
    [
        ("row", pa.int32()),  # row of the shard
        ("encoder_tokens", pa.int32()),
        ("decoder_tokens", pa.int32()),
        ("uid", pa.string()),
        ("mixture", _NAME),
        ("task", _NAME),
        ("template", _NAME),
        ("source_file", _NAME),
        ("source_row", pa.int64()),
        ("exemplars", pa.list_(pa.string())),
    ]
)
SOURCE_COLUMNS = ("uid", "mixture", "task", "template", "source_file", "source_row", "exemplars")
"""Columns that are copied from the mixture."""

Ints = npt.NDArray[np.int64]


def write_origins(path: Path, examples: pa.Table, row: Ints, encoder: Ints, decoder: Ints) -> str:
    """Write the origins of a shard and return the file's sha256.

    Args:
        path: Arrow file to write.
        examples: rows of the mixture with SOURCE_COLUMNS (`exemplars` may be missing), in the
            order of the packed segments.
        row: row of the shard of each segment, int64 [num_segments].
        encoder: encoder tokens of each segment, int64 [num_segments].
        decoder: decoder tokens of each segment, int64 [num_segments].
    """
    if "exemplars" not in examples.column_names:
        no_exemplars = pa.array([[]] * len(examples), pa.list_(pa.string()))
        examples = examples.append_column("exemplars", no_exemplars)
    columns = {
        "row": pa.array(row, pa.int32()),
        "encoder_tokens": pa.array(encoder, pa.int32()),
        "decoder_tokens": pa.array(decoder, pa.int32()),
    }
    for name in SOURCE_COLUMNS:
        values = examples[name].combine_chunks()
        is_name = ORIGIN_SCHEMA.field(name).type == _NAME
        columns[name] = values.dictionary_encode() if is_name else values
    table = pa.table(columns, schema=ORIGIN_SCHEMA)
    path.parent.mkdir(exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sha256(path)


@dataclass(frozen=True)
class CorpusOrigins:
    """The origins of all segments of a corpus, or of the segments of some of its tasks."""

    segments: pa.Table
    """ORIGIN_SCHEMA, in the order of the corpus; `row` is the row within the shard."""
    rows: Ints
    """Row of the corpus of each segment, ascending, int64 [num_segments]."""
    num_rows: int

    @classmethod
    def open(cls, folder: Path, tasks: tuple[str, ...], version: str) -> CorpusOrigins:
        """Open the origins of the rows that a run trained on.

        Args:
            folder: folder of the packed corpus.
            tasks: task patterns of the run; empty: all tasks.
            version: data version that the run recorded.

        Raises:
            DataError: the corpus is missing, or was packed without origins.
            DataVersionChanged: the corpus has another version than the run recorded.
            CorruptShard: the manifest or the origins are damaged.
        """
        manifest = _read_manifest(folder)
        present = version_of_tasks(manifest["version"], tasks) if tasks else manifest["version"]
        if present != version:
            raise DataVersionChanged(
                f"{folder}: version {present} is not {version}, which the run trained on: the "
                "packed data has changed since; check out the dvc.lock of that time and run "
                "`dvc checkout`"
            )
        shards = [entry for entry in manifest["shards"] if entry["rows"]]
        with ThreadPoolExecutor() as pool:
            tables = list(pool.map(lambda entry: _open_shard_origins(folder, entry), shards))
        starts = np.cumsum([0, *(entry["rows"] for entry in shards)])[:-1]
        rows = [
            _to_numpy(table["row"]) + start for table, start in zip(tables, starts, strict=True)
        ]
        segments = pa.concat_tables(tables)
        origins = cls(segments, np.concatenate(rows), int(manifest["rows"]))
        return origins._filter_tasks(tasks, manifest) if tasks else origins

    def _filter_tasks(self, patterns: tuple[str, ...], manifest: dict[str, Any]) -> CorpusOrigins:
        """Return the origins of the corpus that `PackedCorpus.filter_tasks` returns."""
        names = [
            name
            for name in manifest["task_names"]
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        ]
        segments = self.segments
        if (
            manifest["corpus"] not in PRETRAINING_OBJECTIVES
        ):  # all of whose segments have the same task
            task = pc.cast(segments["task"], pa.string())
            segments = segments.filter(pc.is_in(task, pa.array(names, pa.string())))
        rows = next_fit_rows(
            _to_numpy(segments["encoder_tokens"]),
            _to_numpy(segments["decoder_tokens"]),
            manifest["encoder_length"],
            manifest["decoder_length"],
        )
        return CorpusOrigins(segments, rows, int(rows[-1]) + 1)

    def segment_ids(self, segments: Ints) -> Ints:
        """Return the id of segments within their rows, from 1, int64 [num_selected]."""
        first: Ints = np.searchsorted(self.rows, self.rows[segments], "left")
        return segments - first + 1

    def segments_of_rows(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return the segments of packed rows.

        Args:
            rows: rows of the corpus in any order, int64 [num_selected].

        Returns:
            Index into `rows` and index of the segment, for every segment, row by row.
        """
        first = np.searchsorted(self.rows, rows, "left")
        counts = np.searchsorted(self.rows, rows, "right") - first
        index = np.repeat(np.arange(len(rows)), counts)
        offset = np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)
        return index, first[index] + offset

    def segments_of_example(self, uid: str) -> Ints:
        """Return the segments that an example is, or in whose prompt it is an exemplar."""
        as_example = _to_numpy(pc.indices_nonzero(pc.equal(self.segments["uid"], uid)))
        exemplars = self.segments["exemplars"]
        parents = _to_numpy(pc.list_parent_indices(exemplars))
        matches = pc.indices_nonzero(pc.equal(pc.list_flatten(exemplars), uid))
        return np.union1d(as_example, parents[_to_numpy(matches)])


def _to_numpy(column: pa.Array | pa.ChunkedArray) -> Ints:
    """Return a column of numbers as int64; `to_numpy` would import pandas, which is slow."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    arrays = [np.from_dlpack(chunk).astype(np.int64) for chunk in chunks if len(chunk)]
    return np.concatenate([np.empty(0, np.int64), *arrays])


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run `dvc checkout`, or `flanmoe pack`") from None
    except ValueError as error:
        raise CorruptShard(f"{path} is not JSON: {error}; run `flanmoe pack`") from None
    shards = manifest.get("shards", [])
    if not all("origins_sha256" in entry for entry in shards):
        raise DataError(
            f"{folder}: an older release of flanmoe packed the shards, without origins; "
            "run `flanmoe pack`"
        )
    if manifest_version(manifest) != manifest["version"]:
        raise CorruptShard(
            f"{path} does not match its version {manifest['version']}: it was modified; delete "
            f"{folder} and run `flanmoe pack`"
        )
    return manifest


def _open_shard_origins(folder: Path, entry: dict[str, Any]) -> pa.Table:
    return open_verified_table(folder, f"{FOLDER}/{entry['file']}", entry["origins_sha256"])
