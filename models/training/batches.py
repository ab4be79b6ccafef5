"""Batches of a packed corpus as tensors. `data_pipelines.order` computes their rows.

Shape suffixes: B rows of the batch, L tokens of a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from data_pipelines.packed import PackedCorpus

Batch = dict[str, Tensor]


def load_microbatches(
    corpus: PackedCorpus, rows: npt.NDArray[np.int64], number: int, device: torch.device
) -> list[Batch]:
    """Load rows as microbatches of equal size.

    Args:
        corpus: packed corpus.
        rows: row indices of this rank, int64 [B].
        number: number of microbatches; divides B.
        device: device of the tensors.

    Returns:
        Batches of B / number rows; see `to_tensors`.
    """
    return [to_tensors(corpus, part, device) for part in np.split(rows, number)]


def count_tokens(batches: Sequence[Batch], segments: str) -> Tensor:
    """Count the tokens that are not padding.

    Args:
        batches: at least one batch.
        segments: column of their segment ids.

    Returns:
        The number of tokens, int64 scalar.
    """
    return torch.stack([(batch[segments] > 0).sum() for batch in batches]).sum()


def to_tensors(
    corpus: PackedCorpus, rows: npt.NDArray[np.int64], device: torch.device | None = None
) -> Batch:
    """Load rows of the corpus, with the decoder inputs derived from the targets.

    Args:
        corpus: packed corpus.
        rows: row indices [B].
        device: device of the tensors; the CPU by default.

    Returns:
        The columns of the corpus and `decoder_input_tokens`, int64 [B, L] each.
    """
    columns = corpus.take(rows)
    # Copied to the device as int32: half the bytes of int64.
    batch = {name: torch.from_numpy(a).to(device).long() for name, a in columns.items()}
    batch["decoder_input_tokens"] = shift_right(
        batch["decoder_target_tokens"], batch["decoder_segment_ids"]
    )
    return batch


def shift_right(target_BL: Tensor, segments_BL: Tensor) -> Tensor:
    """Compute the decoder inputs: each segment's targets shifted right by one, starting with 0.

    targets  7 8 1 | 9 1     segments 1 1 1 2 2     inputs  0 7 8 | 0 9

    Args:
        target_BL: decoder targets, int64 [B, L].
        segments_BL: segment ids of the targets, int64 [B, L].

    Returns:
        Decoder inputs, int64 [B, L].
    """
    shifted = torch.zeros_like(target_BL)
    shifted[:, 1:] = target_BL[:, :-1]
    is_start = torch.ones_like(segments_BL, dtype=torch.bool)
    is_start[:, 1:] = segments_BL[:, 1:] != segments_BL[:, :-1]
    return shifted.masked_fill(is_start, 0)
