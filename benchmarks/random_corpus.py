"""Packed corpora of random tokens, for speed measurements without a prepared project."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data_pipelines.packed import PackedCorpus


def random_corpus(
    rows: int,
    encoder_length: int,
    decoder_length: int,
    *,
    examples_per_row: int = 4,
    vocab_size: int = 1000,
    seed: int = 0,
) -> PackedCorpus:
    """Build packed rows of random tokens, with equally long examples and no padding.

    Args:
        rows: number of rows.
        encoder_length: input tokens of a row.
        decoder_length: target tokens of a row.
        examples_per_row: segments of a row; divides both lengths.
        vocab_size: tokens are in [2, vocab_size).
        seed: seed of the tokens.
    """
    rng = np.random.default_rng(seed)

    def segments(length: int) -> npt.NDArray[np.int32]:
        ids = np.repeat(np.arange(1, examples_per_row + 1), length // examples_per_row)
        return np.tile(ids.astype(np.int32), (rows, 1))

    shard = {
        "encoder_input_tokens": rng.integers(2, vocab_size, (rows, encoder_length), np.int32),
        "encoder_segment_ids": segments(encoder_length),
        "decoder_target_tokens": rng.integers(2, vocab_size, (rows, decoder_length), np.int32),
        "decoder_segment_ids": segments(decoder_length),
    }
    manifest = {
        "rows": rows,
        "encoder_length": encoder_length,
        "decoder_length": decoder_length,
        "version": "random",
    }
    return PackedCorpus(manifest, [shard])


def useful_tokens(corpus: PackedCorpus) -> int:
    """Return the tokens that are not padding, encoder and decoder together."""
    return sum(
        int((shard["encoder_segment_ids"] > 0).sum() + (shard["decoder_segment_ids"] > 0).sum())
        for shard in corpus.shards
    )
