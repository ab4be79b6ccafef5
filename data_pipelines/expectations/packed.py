"""Expectations on packed shards: token ids in range, and the same valid segments on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import numpy as np
import numpy.typing as npt
import pandas as pd

from data_pipelines.expectations.runner import Finding, build_suite, check, merge_findings
from data_pipelines.packed import open_shard
from data_pipelines.packing.vocabulary import EOS

SHARDS_PER_CHECK = 64
"""Number of shards per check; each check has a fixed cost."""


def validate_corpus(folder: Path, manifest: dict[str, Any]) -> list[Finding]:
    """Validate every shard of a corpus.

    The checks run in this process, because the checked frames hold only a few numbers per row.

    Args:
        folder: folder of the corpus.
        manifest: content of the corpus's manifest.json.

    Raises:
        CorruptShard: a shard is missing or does not match its checksum.
    """
    suite = packed_suite(manifest["corpus"], manifest["vocab_size"])
    shards = [entry for entry in manifest["shards"] if entry["rows"]]

    def validate_shards(entries: list[dict[str, Any]]) -> list[Finding]:
        frames = [_make_frame(open_shard(folder, entry)) for entry in entries]
        return check(pd.concat(frames, ignore_index=True), suite)

    starts = range(0, len(shards), SHARDS_PER_CHECK)
    return merge_findings(
        validate_shards(shards[start : start + SHARDS_PER_CHECK]) for start in starts
    )


def packed_suite(corpus: str, vocab_size: int) -> gx.ExpectationSuite:
    """Return the suite on the properties of each packed row of a corpus."""
    return build_suite(
        f"packed {corpus}",
        [
            gxe.ExpectColumnValuesToBeBetween(column="lowest_token", min_value=0),
            gxe.ExpectColumnValuesToBeBetween(column="highest_token", max_value=vocab_size - 1),
            gxe.ExpectColumnValuesToBeBetween(column="encoder_segment_ids", min_value=1),
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="encoder_segment_ids", column_B="decoder_segment_ids"
            ),
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="encoder_segment_ids", column_B="encoder_ends"
            ),
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="encoder_segment_ids", column_B="decoder_ends"
            ),
            gxe.ExpectColumnValuesToBeInSet(column="in_order", value_set=[True]),
        ],
    )


def _make_frame(shard: dict[str, npt.NDArray[np.int32]]) -> pd.DataFrame:
    """Return the checked properties of each packed row.

    Args:
        shard: columns as `open_shard` returns them, int32 [num_rows, length].

    Returns:
        One row per packed row: lowest and highest token id, number of segments per side, number of
        segments per side that end with EOS, and whether the segment ids are in order.
    """
    tokens = np.concatenate([shard["encoder_input_tokens"], shard["decoder_target_tokens"]], axis=1)
    frame = {"lowest_token": tokens.min(axis=1), "highest_token": tokens.max(axis=1)}
    in_order = np.ones(len(tokens), bool)
    for side, token_column in (
        ("encoder", "encoder_input_tokens"),
        ("decoder", "decoder_target_tokens"),
    ):
        ids, segments = shard[token_column], shard[f"{side}_segment_ids"]
        # A segment ends where the next segment id differs.
        following = np.concatenate([segments[:, 1:], np.zeros((len(ids), 1), np.int32)], axis=1)
        is_last = (segments > 0) & (following != segments)
        frame[f"{side}_segment_ids"] = segments.max(axis=1)
        frame[f"{side}_ends"] = (is_last & (ids == EOS)).sum(axis=1)
        # Valid segment ids, e.g. 1 1 2 2 2 3 0 0: steps of 0 or 1, then only padding.
        step = following - segments
        is_padding = following == 0
        in_order &= ((step == 0) | (step == 1) | is_padding).all(axis=1) & (segments[:, 0] == 1)
    return pd.DataFrame(frame | {"in_order": in_order})
