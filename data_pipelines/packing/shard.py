"""Pack tokenized pairs into the rows of one shard and write it as an Arrow file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_pipelines.packed import COLUMNS
from data_pipelines.packing.packer import pack
from data_pipelines.packing.vocabulary import EOS, PAD, TokenSequences
from data_pipelines.params import PackParams

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TokenizedPairs:
    """Inputs and targets without end-of-sequence tokens."""

    inputs: TokenSequences
    targets: TokenSequences
    tasks: npt.NDArray[np.int32]
    """Task id of each pair, int32 [num_pairs]."""

    def packed_lengths(self, params: PackParams) -> tuple[Ints, Ints]:
        """Return the number of encoder and decoder tokens of each pair, int64 [num_pairs] each.

        The numbers are after truncation and include the EOS token.
        """
        return (
            np.minimum(self.inputs.lengths + 1, params.encoder_length),
            np.minimum(self.targets.lengths + 1, params.decoder_length),
        )


@dataclass(frozen=True)
class Placement:
    """Position of each pair in the packed rows. All arrays are int64 [num_pairs]."""

    order: Ints
    """Indices of the pairs, sorted by row and by segment within a row."""
    row: Ints
    """Row of each pair, sorted as `order`."""
    segment: Ints
    """Segment id of each pair within its row, sorted as `order`."""
    num_rows: int

    def segment_starts(self, lengths: Ints) -> Ints:
        """Return the column of each pair's first token within its row, sorted as `order`.

        Args:
            lengths: tokens of each pair on one side, int64 [num_pairs], in the original order.
        """
        ends = np.cumsum(lengths[self.order])
        starts_row = self.segment == 1
        row_offset = np.where(starts_row, ends - lengths[self.order], 0)
        return ends - lengths[self.order] - np.maximum.accumulate(row_offset)


def write_shard(path: Path, pairs: TokenizedPairs, params: PackParams) -> Placement:
    """Pack the pairs, write the rows, and return the position of each pair.

    The pairs are in random order, and packing sorts them by length. Rows are therefore written in
    the order of their smallest pair index, so that consecutive rows are a random sample.

    Args:
        path: Arrow file to write.
        pairs: tokenized pairs, in random order.
        params: row lengths.
    """
    encoder, decoder = pairs.packed_lengths(params)
    packed = pack(encoder, decoder, params.encoder_length, params.decoder_length)
    packed.sort(key=min)
    counts = np.array([len(row) for row in packed], np.int64)
    firsts = np.repeat(np.cumsum(counts) - counts, counts)
    placement = Placement(
        order=np.array([pair for row in packed for pair in row], np.int64),
        row=np.repeat(np.arange(len(packed)), counts),
        segment=np.arange(len(firsts)) - firsts + 1,
        num_rows=len(packed),
    )
    columns = [
        *_pack_side(pairs.inputs, encoder, placement, params.encoder_length),
        *_pack_side(pairs.targets, decoder, placement, params.decoder_length),
        pa.ListArray.from_arrays(
            pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32()),
            pa.array(pairs.tasks[placement.order], pa.int32()),
        ),
    ]
    table = pa.table(columns, names=[*COLUMNS, "tasks"])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return placement


def _pack_side(
    sequences: TokenSequences, lengths: Ints, placement: Placement, row_length: int
) -> tuple[pa.FixedSizeListArray, pa.FixedSizeListArray]:
    """Return the token ids and segment ids of one side, int32 [num_rows, row_length] each.

    Args:
        sequences: token ids of each pair, in the original order.
        lengths: tokens of each pair after truncation, EOS included, int64 [num_pairs].
        placement: position of each pair.
        row_length: tokens per row.
    """
    sizes = lengths[placement.order]
    starts = placement.row * row_length + placement.segment_starts(lengths)
    offset = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    cells = np.repeat(starts, sizes) + offset
    # The last cell of each pair first receives the next source token; EOS overwrites it below.
    source = np.repeat(sequences.offsets[placement.order], sizes) + offset
    ids = np.full(placement.num_rows * row_length, PAD, np.int32)
    ids[cells] = sequences.ids.take(source, mode="clip") if len(sequences.ids) else EOS
    ids[starts + sizes - 1] = EOS
    segments = np.zeros(placement.num_rows * row_length, np.int32)
    segments[cells] = np.repeat(placement.segment, sizes)
    return (
        pa.FixedSizeListArray.from_arrays(pa.array(ids), row_length),
        pa.FixedSizeListArray.from_arrays(pa.array(segments), row_length),
    )
