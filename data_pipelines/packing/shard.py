"""One shard: a window of tokenised pairs, packed into rows and written as an Arrow file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from data_pipelines.packed import COLUMNS
from data_pipelines.packing.packer import pack
from data_pipelines.packing.pretraining import Pair
from data_pipelines.packing.vocabulary import EOS, PAD
from data_pipelines.params import PackParams


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A tokenised pair without end marks, and the number of the task it belongs to."""

    pair: Pair
    task: int


def close(tokens: list[int], length: int) -> list[int]:
    """Cut to fit, and closed with the end mark."""
    return [*tokens[: length - 1], EOS]


def write_shard(
    path: Path, examples: Sequence[Labelled], params: PackParams, order: Sequence[int]
) -> int:
    """Packs the closed pairs, writes the rows and returns their number.

    `order` gives each example a number by chance; rows are written in the order of their first
    example's, because packing sorts by length and training wants every batch mixed.
    """
    lengths = [(len(e.pair[0]), len(e.pair[1])) for e in examples]
    rows = pack(lengths, params.encoder_length, params.decoder_length)
    rows.sort(key=lambda row: order[row[0]])
    shapes = {
        "tokens": params.encoder_length,
        "segments": params.encoder_length,
        "target_tokens": params.decoder_length,
        "target_segments": params.decoder_length,
    }
    arrays = {
        name: np.full((len(rows), length), PAD, dtype=np.int32) for name, length in shapes.items()
    }
    for number, row in enumerate(rows):
        for side, (tokens, segments) in enumerate(
            (("tokens", "segments"), ("target_tokens", "target_segments"))
        ):
            flat = [token for index in row for token in examples[index].pair[side]]
            sizes = [len(examples[index].pair[side]) for index in row]
            arrays[tokens][number, : len(flat)] = flat
            arrays[segments][number, : len(flat)] = np.repeat(np.arange(1, len(row) + 1), sizes)
    columns = [
        pa.FixedSizeListArray.from_arrays(pa.array(arrays[name].ravel()), shapes[name])
        for name in COLUMNS
    ]
    tasks = pa.array([[examples[index].task for index in row] for row in rows], pa.list_(pa.int32()))
    table = pa.table([*columns, tasks], names=[*COLUMNS, "tasks"])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return len(rows)
