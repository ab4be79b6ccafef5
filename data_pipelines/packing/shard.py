"""One shard: a window of tokenised pairs, packed into rows and written as an Arrow file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_pipelines.packed import COLUMNS
from data_pipelines.packing.packer import pack
from data_pipelines.packing.vocabulary import EOS, PAD, Tokens
from data_pipelines.params import PackParams

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Tokenised pairs without end marks; `tasks[i]` is the number of pair i's task."""

    inputs: Tokens
    targets: Tokens
    tasks: npt.NDArray[np.int32]

    def lengths(self, params: PackParams) -> tuple[Ints, Ints]:
        """Of each pair's two sides when cut to fit and closed with the end mark."""
        return (
            np.minimum(self.inputs.lengths + 1, params.encoder_length),
            np.minimum(self.targets.lengths + 1, params.decoder_length),
        )


@dataclass(frozen=True)
class _Places:
    """Where each pair goes: pairs in the order of rows, and of segments in a row."""

    order: Ints
    row: Ints
    segment: Ints
    rows: int

    def starts(self, lengths: Ints) -> Ints:
        """First token of each pair, in `order`, within its row."""
        ends = np.cumsum(lengths[self.order])
        firsts = self.segment == 1
        before = np.where(firsts, ends - lengths[self.order], 0)
        return ends - lengths[self.order] - np.maximum.accumulate(before)


def write_shard(path: Path, pairs: Pairs, params: PackParams) -> int:
    """Packs the pairs, writes the rows and returns their number.

    Pairs come in an order by chance; rows are written in the order of their first pair, because
    packing sorts by length and training wants every batch mixed.
    """
    encoder, decoder = pairs.lengths(params)
    packed = pack(encoder, decoder, params.encoder_length, params.decoder_length)
    packed.sort(key=min)
    counts = np.array([len(row) for row in packed], np.int64)
    firsts = np.repeat(np.cumsum(counts) - counts, counts)
    places = _Places(
        order=np.array([pair for row in packed for pair in row], np.int64),
        row=np.repeat(np.arange(len(packed)), counts),
        segment=np.arange(len(firsts)) - firsts + 1,
        rows=len(packed),
    )
    columns = [
        *_side(pairs.inputs, encoder, places, params.encoder_length),
        *_side(pairs.targets, decoder, places, params.decoder_length),
        pa.ListArray.from_arrays(
            pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32()),
            pa.array(pairs.tasks[places.order], pa.int32()),
        ),
    ]
    table = pa.table(columns, names=[*COLUMNS, "tasks"])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return len(packed)


def _side(
    tokens: Tokens, lengths: Ints, places: _Places, length: int
) -> tuple[pa.FixedSizeListArray, pa.FixedSizeListArray]:
    """Token ids and segment numbers of one side, `[rows, length]` each."""
    sizes = lengths[places.order]
    targets = places.row * length + places.starts(lengths)
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    cells = np.repeat(targets, sizes) + within
    # The end mark's cell is filled with whatever follows, then with the mark.
    source = np.repeat(tokens.offsets[places.order], sizes) + within
    ids = np.full(places.rows * length, PAD, np.int32)
    ids[cells] = tokens.ids.take(source, mode="clip") if len(tokens.ids) else EOS
    ids[targets + sizes - 1] = EOS
    segments = np.zeros(places.rows * length, np.int32)
    segments[cells] = np.repeat(places.segment, sizes)
    return (
        pa.FixedSizeListArray.from_arrays(pa.array(ids), length),
        pa.FixedSizeListArray.from_arrays(pa.array(segments), length),
    )
