"""The worker function of the stage `pack`: convert one file of the mixture to a packed shard."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipelines import origins
from data_pipelines.file_cache import cached_by_file
from data_pipelines.files import sha256
from data_pipelines.origins import write_origins
from data_pipelines.packing.packer import row_lower_bound
from data_pipelines.packing.pretraining import make_pair
from data_pipelines.packing.shard import TokenizedPairs, write_shard
from data_pipelines.packing.vocabulary import TokenSequences, Vocabulary
from data_pipelines.params import PackParams

TEXT_TASK = "text"
"""Task name of all pre-training pairs."""


@dataclass(frozen=True, kw_only=True)
class PackTask:
    """One file of the mixture, and the shard to write."""

    source: Path
    first_index: int
    """Index of the file's first row in its corpus; seeds the random choices of pre-training."""
    shard: Path
    tokenizer: Path
    params: PackParams
    task_ids: dict[str, int]
    """Task name -> id; ids are consecutive from 0, in the dict's order."""


@dataclass(frozen=True, kw_only=True)
class PackResult:
    """Counts of one shard; `Counter`s are by task name."""

    rows: int
    row_lower_bound: int
    sha256: str
    origins_sha256: str
    examples: Counter[str] = field(default_factory=Counter)
    encoder_tokens: Counter[str] = field(default_factory=Counter)
    decoder_tokens: Counter[str] = field(default_factory=Counter)
    truncated: Counter[str] = field(default_factory=Counter)


def pack_shard(task: PackTask) -> PackResult:
    """Tokenize and pack one file of the mixture, write the shard, and return its counts.

    The output is deterministic, so the task can be retried.
    """
    vocabulary = _load_vocabulary(task.tokenizer / "tokenizer.json")
    params = task.params
    table = pq.read_table(task.source)
    if "text" in table.column_names:
        pairs, truncated, indices = _make_pretraining_pairs(
            table["text"].to_pylist(), vocabulary, task
        )
        table = table.take(pa.array(indices, pa.int64()))
    else:
        pairs, truncated = _make_instruction_pairs(table, vocabulary, task)
    encoder, decoder = pairs.packed_lengths(params)
    placement = write_shard(task.shard, pairs, params)
    origins_sha256 = write_origins(
        task.shard.parent / origins.FOLDER / task.shard.name,
        table.take(pa.array(placement.order)),
        placement.row,
        encoder[placement.order],
        decoder[placement.order],
    )

    def sum_by_task(values: npt.NDArray[np.int64]) -> Counter[str]:
        sums = np.bincount(pairs.tasks, values, minlength=len(task.task_ids)).astype(int).tolist()
        return Counter({name: n for name, n in zip(task.task_ids, sums, strict=True) if n})

    return PackResult(
        rows=placement.num_rows,
        row_lower_bound=row_lower_bound(
            encoder, decoder, params.encoder_length, params.decoder_length
        ),
        sha256=sha256(task.shard),
        origins_sha256=origins_sha256,
        examples=sum_by_task(np.ones(len(encoder), np.int64)),
        encoder_tokens=sum_by_task(encoder),
        decoder_tokens=sum_by_task(decoder),
        truncated=sum_by_task(truncated.astype(np.int64)),
    )


def _make_instruction_pairs(
    table: pa.Table, vocabulary: Vocabulary, task: PackTask
) -> tuple[TokenizedPairs, npt.NDArray[np.bool_]]:
    """Return the pairs of a file of examples, and a mask of truncated pairs, bool [num_pairs]."""
    inputs, targets = (vocabulary.encode(table[name].to_pylist()) for name in ("inputs", "targets"))
    tasks = table["task"].combine_chunks().dictionary_encode()
    task_ids = np.array([task.task_ids[name] for name in tasks.dictionary.to_pylist()], np.int32)
    truncated = (inputs.lengths >= task.params.encoder_length) | (
        targets.lengths >= task.params.decoder_length
    )
    return TokenizedPairs(inputs, targets, task_ids[tasks.indices.to_numpy()]), truncated


def _make_pretraining_pairs(
    texts: list[str], vocabulary: Vocabulary, task: PackTask
) -> tuple[TokenizedPairs, npt.NDArray[np.bool_], list[int]]:
    """Return the pairs of a file of plain text, a mask of truncated texts, and their indices.

    Texts that are too short for a pair are omitted. The mask, bool [num_pairs], marks texts that
    are truncated to the encoder length; it does not mark truncated targets. The indices are those
    of the pairs' texts in `texts`.
    """
    tokens = vocabulary.encode(texts)
    indexed_pairs = [
        (i, pair)
        for i in range(len(tokens))
        if (pair := make_pair(tokens[i].tolist(), vocabulary, task.params, task.first_index + i))
    ]
    indices = [i for i, _ in indexed_pairs]
    inputs, targets = (
        TokenSequences.concatenate([pair[side] for _, pair in indexed_pairs]) for side in (0, 1)
    )
    tasks = np.full(len(indices), task.task_ids[TEXT_TASK], np.int32)
    truncated = tokens.lengths[indices] >= task.params.encoder_length
    return TokenizedPairs(inputs, targets, tasks), truncated, indices


@cached_by_file(maxsize=1)
def _load_vocabulary(path: Path) -> Vocabulary:
    """Load the tokenizer described by a tokenizer.json."""
    description = json.loads(path.read_text(encoding="utf-8"))
    return Vocabulary.load(path.with_name("spiece.model"), description["num_sentinels"])
