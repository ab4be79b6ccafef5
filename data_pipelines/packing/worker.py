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
from data_pipelines.packing.pretraining import Pair, make_pairs
from data_pipelines.packing.shard import TokenizedPairs, write_shard
from data_pipelines.packing.vocabulary import TokenSequences, Vocabulary
from data_pipelines.params import PackParams, PretrainingObjective

TEXT_TASK = "text"
"""Task name of all pre-training pairs."""


@dataclass(frozen=True, kw_only=True)
class PackTask:
    """One file of the mixture, and the shard to write."""

    source: Path
    objective: PretrainingObjective | None
    """How a file of plain text becomes pairs; None for a file of instructions."""
    first_index: int
    """Index of the file's first row in its corpus; seeds the random choices of pre-training."""
    shard: Path
    tokenizer: Path
    params: PackParams
    num_rows: int | None = None
    """Number of rows to pack, from the beginning of the file; None: all."""
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
    lost_tokens: Counter[str] = field(default_factory=Counter)
    """Tokens that are in no row: cut from a longer example, or of a text too short for a pair."""


def pack_shard(task: PackTask) -> PackResult:
    """Tokenize and pack one file of the mixture, write the shard, and return its counts.

    The output is deterministic, so the task can be retried.
    """
    vocabulary = _load_vocabulary(task.tokenizer / "tokenizer.json")
    params = task.params
    table = pq.read_table(task.source).slice(0, task.num_rows)
    num_unpaired = 0
    if task.objective is None:
        pairs = _make_instruction_pairs(table, vocabulary, task)
    else:
        pairs, texts, num_unpaired = _make_pretraining_pairs(
            table, vocabulary, task, task.objective
        )
        table = table.take(pa.array(texts, pa.int64()))
    encoder, decoder = pairs.packed_lengths(params)
    cut_tokens = pairs.inputs.lengths + pairs.targets.lengths + 2 - encoder - decoder
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
        truncated=sum_by_task((cut_tokens > 0).astype(np.int64)),
        lost_tokens=sum_by_task(cut_tokens) + Counter({TEXT_TASK: num_unpaired}),
    )


def _make_instruction_pairs(
    table: pa.Table, vocabulary: Vocabulary, task: PackTask
) -> TokenizedPairs:
    """Return the pairs of a file of examples."""
    inputs, targets = (vocabulary.encode(table[name].to_pylist()) for name in ("inputs", "targets"))
    tasks = table["task"].combine_chunks().dictionary_encode()
    task_ids = np.array([task.task_ids[name] for name in tasks.dictionary.to_pylist()], np.int32)
    return TokenizedPairs(inputs, targets, task_ids[tasks.indices.to_numpy()])


def _make_pretraining_pairs(
    table: pa.Table,
    vocabulary: Vocabulary,
    task: PackTask,
    objective: PretrainingObjective,
) -> tuple[TokenizedPairs, list[int], int]:
    """Return the pairs of a file of plain text.

    Returns:
        The pairs, the row of the text of each pair, and the number of tokens that are in no pair:
        those of texts that are too short for one.
    """
    tokens = vocabulary.encode(table["text"].to_pylist())
    pairs: list[Pair] = []
    text_rows: list[int] = []
    num_unpaired = 0
    for i in range(len(tokens)):
        text = tokens[i].tolist()
        text_pairs = make_pairs(text, objective, vocabulary, task.params, task.first_index + i)
        pairs += text_pairs
        text_rows += [i] * len(text_pairs)
        num_unpaired += 0 if text_pairs else len(text)
    inputs, targets = (
        TokenSequences.concatenate([pair[side] for pair in pairs]) for side in (0, 1)
    )
    tasks = np.full(len(pairs), task.task_ids[TEXT_TASK], np.int32)
    return TokenizedPairs(inputs, targets, tasks), text_rows, num_unpaired


@cached_by_file(maxsize=1)
def _load_vocabulary(path: Path) -> Vocabulary:
    """Load the tokenizer described by a tokenizer.json."""
    description = json.loads(path.read_text(encoding="utf-8"))
    return Vocabulary.load(path.with_name("spiece.model"), description["num_sentinels"])
