"""Which rows each step sees: plain arithmetic, so a run resumes at the exact sample.

Row i of the endless stream is row i mod n of epoch i div n, each epoch in its own order.
"""

from __future__ import annotations

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
    rows: int, step: int, global_batch_size: int, seed: int, rank: int = 0, world: int = 1
) -> npt.NDArray[np.int64]:
    """Rows that `rank` of `world` processes trains on at `step` (counted from 0)."""
    positions = range(step * global_batch_size + rank, (step + 1) * global_batch_size, world)
    return np.array([_order(rows, seed, p // rows)[p % rows] for p in positions], dtype=np.int64)


def parts(
    corpus: PackedCorpus, rows: npt.NDArray[np.int64], number: int, device: torch.device
) -> list[Batch]:
    """The rows as `number` batches of equally many."""
    return [to_tensors(corpus, part, device) for part in np.split(rows, number)]


def to_tensors(
    corpus: PackedCorpus, rows: npt.NDArray[np.int64], device: torch.device | None = None
) -> Batch:
    """The rows as int64 tensors, with the decoder's input beside its target."""
    taken = corpus.take(rows)
    # As int32 to the device: half of what int64 would move.
    batch = {n: torch.from_numpy(values).to(device).long() for n, values in taken.items()}
    batch["decoder_input_tokens"] = shift_right(
        batch["decoder_target_tokens"], batch["decoder_segment_ids"]
    )
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
