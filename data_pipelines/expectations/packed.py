"""What packed shards must satisfy: token ids in range, segments whole, the same on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import numpy as np
import numpy.typing as npt
import pandas as pd

from data_pipelines.expectations.runner import Finding, check, merge
from data_pipelines.packed import open_shard
from data_pipelines.packing.vocabulary import EOS

BATCH = 64
"""Shards looked at together: each look costs the same, however few the rows."""


def findings_of(folder: Path, manifest: dict[str, Any]) -> list[Finding]:
    """Over every shard of a corpus: a few figures of each row, so no worker is called for it."""
    suite = _suite(manifest["corpus"], manifest["vocab_size"])
    shards = [entry for entry in manifest["shards"] if entry["rows"]]

    def findings(entries: list[dict[str, Any]]) -> list[Finding]:
        frames = [_frame(open_shard(folder, entry)) for entry in entries]
        return check(pd.concat(frames, ignore_index=True), suite)

    return merge(findings(shards[at : at + BATCH]) for at in range(0, len(shards), BATCH))


def _suite(corpus: str, vocabulary: int) -> gx.ExpectationSuite:
    return gx.ExpectationSuite(
        name=f"packed {corpus}",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(column="lowest_token", min_value=0),
            gxe.ExpectColumnValuesToBeBetween(column="highest_token", max_value=vocabulary - 1),
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


def _frame(shard: dict[str, npt.NDArray[np.int32]]) -> pd.DataFrame:
    """One row a packed row, with what can be wrong with it."""
    tokens = np.concatenate([shard["encoder_input_tokens"], shard["decoder_target_tokens"]], axis=1)
    frame = {"lowest_token": tokens.min(axis=1), "highest_token": tokens.max(axis=1)}
    in_order = np.ones(len(tokens), bool)
    for side, token_column in (
        ("encoder", "encoder_input_tokens"),
        ("decoder", "decoder_target_tokens"),
    ):
        ids, segments = shard[token_column], shard[f"{side}_segment_ids"]
        # The last token of each segment: where the number changes.
        following = np.concatenate([segments[:, 1:], np.zeros((len(ids), 1), np.int32)], axis=1)
        last = (segments > 0) & (following != segments)
        frame[f"{side}_segment_ids"] = segments.max(axis=1)
        frame[f"{side}_ends"] = (last & (ids == EOS)).sum(axis=1)
        # 1 1 2 2 2 3 0 0: up by one, and padding only at the end.
        step = following - segments
        ends_row = following == 0
        in_order &= ((step == 0) | (step == 1) | ends_row).all(axis=1) & (segments[:, 0] == 1)
    return pd.DataFrame(frame | {"in_order": in_order})
