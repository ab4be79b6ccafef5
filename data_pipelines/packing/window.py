"""One window of the mixture -> one shard: what the workers of the stage `pack` do."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipelines.file_cache import cached_by_file
from data_pipelines.files import sha256
from data_pipelines.packing.packer import row_lower_bound
from data_pipelines.packing.pretraining import pair
from data_pipelines.packing.shard import Pairs, write_shard
from data_pipelines.packing.vocabulary import Tokens, Vocabulary
from data_pipelines.params import PackParams

TEXT_TASK = "text"


@dataclass(frozen=True, kw_only=True)
class PackTask:
    """One window of the mixture, and the shard it becomes."""

    window: Path
    first: int
    """Number of the window's first row in its corpus."""
    shard: Path
    tokenizer: Path
    params: PackParams
    tasks: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class PackResult:
    """What a shard holds; counts are by task."""

    rows: int
    row_lower_bound: int
    sha256: str
    examples: Counter[str] = field(default_factory=Counter)
    encoder_tokens: Counter[str] = field(default_factory=Counter)
    decoder_tokens: Counter[str] = field(default_factory=Counter)
    truncated: Counter[str] = field(default_factory=Counter)


def pack_window(job: PackTask) -> PackResult:
    """Tokenises and packs one window; the same shard whoever calls it."""
    vocabulary = _vocabulary(job.tokenizer / "tokenizer.json")
    params = job.params
    table = pq.read_table(job.window)
    if "text" in table.column_names:
        pairs, cut = _plain(table["text"].to_pylist(), vocabulary, job)
    else:
        pairs, cut = _instructions(table, vocabulary, job)
    encoder, decoder = pairs.lengths(params)
    rows = write_shard(job.shard, pairs, params)

    def by_task(values: npt.NDArray[np.int64]) -> Counter[str]:
        sums = np.bincount(pairs.tasks, values, minlength=len(job.tasks)).astype(int).tolist()
        return Counter({name: n for name, n in zip(job.tasks, sums, strict=True) if n})

    return PackResult(
        rows=rows,
        row_lower_bound=row_lower_bound(
            encoder, decoder, params.encoder_length, params.decoder_length
        ),
        sha256=sha256(job.shard),
        examples=by_task(np.ones(len(encoder), np.int64)),
        encoder_tokens=by_task(encoder),
        decoder_tokens=by_task(decoder),
        truncated=by_task(cut.astype(np.int64)),
    )


def _instructions(
    table: pa.Table, vocabulary: Vocabulary, job: PackTask
) -> tuple[Pairs, npt.NDArray[np.bool_]]:
    """Pairs of a window of the mixture, and which of them are cut to fit."""
    inputs, targets = (vocabulary.encode(table[name].to_pylist()) for name in ("inputs", "targets"))
    tasks = table["task"].combine_chunks().dictionary_encode()
    numbers = np.array([job.tasks[name] for name in tasks.dictionary.to_pylist()], np.int32)
    cut = (inputs.lengths >= job.params.encoder_length) | (
        targets.lengths >= job.params.decoder_length
    )
    return Pairs(inputs, targets, numbers[tasks.indices.to_numpy()]), cut


def _plain(
    texts: list[str], vocabulary: Vocabulary, job: PackTask
) -> tuple[Pairs, npt.NDArray[np.bool_]]:
    """Pre-training pairs of a window of plain text; too short texts give none."""
    tokens = vocabulary.encode(texts)
    made = [
        pair(tokens[i].tolist(), vocabulary, job.params, job.first + i) for i in range(len(tokens))
    ]
    kept = [i for i, found in enumerate(made) if found is not None]
    pairs = [found for found in made if found is not None]
    task = np.full(len(kept), job.tasks[TEXT_TASK], np.int32)
    inputs, targets = (Tokens.of([p[side] for p in pairs]) for side in (0, 1))
    return Pairs(inputs, targets, task), tokens.lengths[kept] >= job.params.encoder_length


@cached_by_file(maxsize=1)
def _vocabulary(path: Path) -> Vocabulary:
    description = json.loads(path.read_text())
    return Vocabulary.load(path.with_name("spiece.model"), description["sentinels"])
