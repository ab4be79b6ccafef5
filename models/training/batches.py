"""Which rows each step sees: plain arithmetic, so a run resumes at the exact sample.

Row i of the endless stream is row i mod n of epoch i div n, each epoch in its own order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from data_pipelines.packed import PackedCorpus

Batch = dict[str, Tensor]


@lru_cache(maxsize=2)
def _order(rows: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(rows)


def rows_of_step(
    rows: int, step: int, batch_rows: int, seed: int, rank: int = 0, world: int = 1
) -> npt.NDArray[np.int64]:
    """Rows that `rank` of `world` processes trains on at `step` (counted from 0)."""
    positions = range(step * batch_rows + rank, (step + 1) * batch_rows, world)
    return np.array([_order(rows, seed, p // rows)[p % rows] for p in positions], dtype=np.int64)


def batches(
    corpus: PackedCorpus,
    *,
    first: int,
    last: int,
    batch_rows: int,
    seed: int,
    rank: int = 0,
    world: int = 1,
) -> Iterator[tuple[int, Batch]]:
    """(step, batch) for the steps in [first, last)."""
    for step in range(first, last):
        rows = rows_of_step(len(corpus), step, batch_rows, seed, rank, world)
        yield step, to_tensors(corpus, rows)


def to_tensors(corpus: PackedCorpus, rows: npt.NDArray[np.int64]) -> Batch:
    """The rows as int64 tensors, with the decoder's input beside its target."""
    taken = corpus.take(rows)
    batch = {name: torch.from_numpy(values).long() for name, values in taken.items()}
    batch["decoder_input"] = shift_right(batch["target_tokens"], batch["target_segments"])
    return batch


def shift_right(target_BL: Tensor, segments_BL: Tensor) -> Tensor:
    """The decoder's input: each segment's target one place later, 0 at its start.

    targets  7 8 1 | 9 1     segments 1 1 1 2 2     input  0 7 8 | 0 9
    """
    shifted = torch.zeros_like(target_BL)
    shifted[:, 1:] = target_BL[:, :-1]
    starts = torch.ones_like(segments_BL, dtype=torch.bool)
    starts[:, 1:] = segments_BL[:, 1:] != segments_BL[:, :-1]
    return shifted.masked_fill(starts, 0)
