"""The order in which training reads the rows of a packed corpus, computed by arithmetic.

Row i of the endless data stream is row i mod n of epoch i div n; each epoch has its own shuffle.
Batch b is the rows b * size to (b + 1) * size - 1 of the stream. A run reads the batches in order,
except those that it skipped because of an anomalous loss. Everything here counts from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@lru_cache(maxsize=2)
def epoch_order(num_rows: int, seed: int, epoch: int) -> Indices:
    """Return the rows of the corpus in the order of an epoch, int64 [num_rows]; read-only."""
    order = np.random.Generator(np.random.PCG64([seed, epoch])).permutation(num_rows)
    order.setflags(write=False)  # the cache returns the same array again
    return order


def stream_rows(num_rows: int, seed: int, positions: Indices) -> Indices:
    """Return the rows of the corpus at positions of the data stream.

    Args:
        num_rows: rows of the corpus.
        seed: seed of the shuffles.
        positions: positions in the stream, int64 [num_positions].

    Returns:
        Row indices, int64 [num_positions].
    """
    rows = np.empty(len(positions), np.int64)
    epochs, places = np.divmod(positions, num_rows)
    for epoch in np.unique(epochs).tolist():
        in_epoch = epochs == epoch
        rows[in_epoch] = epoch_order(num_rows, seed, epoch)[places[in_epoch]]
    return rows


def stream_positions(num_rows: int, seed: int, rows: Indices, num_positions: int) -> Indices:
    """Return every position of the data stream at which rows of the corpus are read.

    Args:
        num_rows: rows of the corpus.
        seed: seed of the shuffles.
        rows: row indices, int64 [num_selected].
        num_positions: length of the stream that is searched.

    Returns:
        Positions below `num_positions`, ascending, int64.
    """
    is_selected = np.zeros(num_rows, bool)
    is_selected[rows] = True
    num_epochs = -(-num_positions // num_rows)
    positions = [
        epoch * num_rows + np.flatnonzero(is_selected[epoch_order(num_rows, seed, epoch)])
        for epoch in range(num_epochs)
    ]
    joined = np.concatenate([np.empty(0, np.int64), *positions])
    return joined[joined < num_positions]


def batch_of_step(step: int, skipped_batches: Sequence[int]) -> int:
    """Return the index of the batch that a step trains on.

    Args:
        step: step of the run, from 0.
        skipped_batches: indices of the batches that the run skipped, ascending.
    """
    index = step
    for skipped in skipped_batches:
        if skipped <= index:
            index += 1
    return index


def row_indices(
    num_rows: int,
    batch_index: int,
    global_batch_size: int,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
) -> Indices:
    """Return the rows of the corpus that a rank trains on in a batch.

    Args:
        num_rows: rows of the corpus.
        batch_index: batch of the data stream, from 0.
        global_batch_size: rows of the batch over all ranks.
        seed: seed of the shuffles.
        rank: rank to return the rows of.
        world_size: number of ranks.

    Returns:
        Row indices, int64 [global_batch_size / world_size].
    """
    first = batch_index * global_batch_size
    positions = np.arange(first + rank, first + global_batch_size, world_size, dtype=np.int64)
    return stream_rows(num_rows, seed, positions)
