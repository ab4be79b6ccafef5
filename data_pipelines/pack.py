"""Stage `pack`: tokens into fixed-length rows, three corpora in data/packed.

`pretrain` (plain text), `train` and `validation` (instructions). Each is shards and a manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.errors import DataError
from data_pipelines.example import stable_hash
from data_pipelines.fetch import sha256
from data_pipelines.output import new_folder, write_json
from data_pipelines.packed import COLUMNS
from data_pipelines.packing.packer import pack
from data_pipelines.packing.pretraining import Pair, pair
from data_pipelines.packing.vocabulary import EOS, PAD, Vocabulary
from data_pipelines.params import PackParams


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Tokenised pairs, end marks included, and what became of the texts they came from."""

    pairs: list[Pair]
    labels: list[str]
    truncated: int


def run(params: PackParams, workspace: Path) -> None:
    """Raises DataError if a corpus would be empty."""
    description = json.loads((workspace / layout.TOKENIZER / "tokenizer.json").read_text())
    model = workspace / layout.TOKENIZER / "spiece.model"
    vocabulary = Vocabulary.load(model, description["sentinels"])
    mixture = workspace / layout.MIXTURE
    examples = pq.read_table(
        mixture / "examples.parquet", columns=["mixture", "split", "inputs", "targets"]
    ).to_pylist()
    texts = pq.read_table(mixture / "text.parquet")["text"].to_pylist()
    with new_folder(workspace / layout.PACKED) as out:
        summary = {}
        for split in ("train", "validation"):
            rows = [row for row in examples if row["split"] == split]
            corpus = _instructions(rows, vocabulary, params)
            summary[split] = _write(out / split, corpus, params, description)
        corpus = _plain(texts, vocabulary, params)
        summary["pretrain"] = _write(out / "pretrain", corpus, params, description)
        write_json(out / "summary.json", summary)


def _instructions(rows: list[dict[str, Any]], vocabulary: Vocabulary, params: PackParams) -> Corpus:
    inputs = vocabulary.encode_all([row["inputs"] for row in rows])
    targets = vocabulary.encode_all([row["targets"] for row in rows])
    truncated, pairs = 0, []
    for source, target in zip(inputs, targets, strict=True):
        pairs.append((_end(source, params.encoder_length), _end(target, params.decoder_length)))
        truncated += len(source) >= params.encoder_length or len(target) >= params.decoder_length
    return Corpus(pairs=pairs, labels=[row["mixture"] for row in rows], truncated=truncated)


def _plain(texts: list[str], vocabulary: Vocabulary, params: PackParams) -> Corpus:
    encoded = vocabulary.encode_all(texts)
    made = [pair(tokens, vocabulary, params, i) for i, tokens in enumerate(encoded)]
    pairs = [
        (_end(p[0], params.encoder_length), _end(p[1], params.decoder_length))
        for p in made
        if p is not None
    ]
    truncated = sum(len(tokens) >= params.encoder_length for tokens in encoded)
    return Corpus(pairs=pairs, labels=["text"] * len(pairs), truncated=truncated)


def _end(tokens: list[int], length: int) -> list[int]:
    """Cut to fit, and closed with the end mark."""
    return [*tokens[: length - 1], EOS]


def _write(
    folder: Path, corpus: Corpus, params: PackParams, tokenizer: dict[str, Any]
) -> dict[str, Any]:
    if not corpus.pairs:
        raise DataError(f"the {folder.name} corpus would be empty: give the mixture more examples")
    folder.mkdir()
    lengths = [(len(source), len(target)) for source, target in corpus.pairs]
    rows = pack(lengths, params.encoder_length, params.decoder_length)
    # Packing sorts by length; training wants every batch mixed.
    rows.sort(key=lambda row: stable_hash(params.seed, folder.name, *row))
    shards = []
    size = params.rows_per_shard
    starts = range(0, len(rows), size)
    for number, start in enumerate(tqdm(starts, desc=folder.name, unit="shard")):
        path = folder / f"{number:05d}.arrow"
        _write_shard(path, rows[start : start + size], corpus.pairs, params)
        shards.append(
            {"file": path.name, "sha256": sha256(path), "rows": min(size, len(rows) - start)}
        )
    encoder = sum(length for length, _ in lengths)
    decoder = sum(length for _, length in lengths)
    shares = Counter(corpus.labels)
    summary = {
        "rows": len(rows),
        "examples": len(lengths),
        "encoder_tokens": encoder,
        "decoder_tokens": decoder,
        "encoder_fill": round(encoder / (len(rows) * params.encoder_length), 4),
        "decoder_fill": round(decoder / (len(rows) * params.decoder_length), 4),
        "truncated": corpus.truncated,
        "examples_per_mixture": dict(sorted(shares.items())),
    }
    manifest = {
        **summary,
        "encoder_length": params.encoder_length,
        "decoder_length": params.decoder_length,
        "rows_per_shard": size,
        "shards": shards,
        "tokenizer_sha256": tokenizer["sha256"],
        "vocab_size": tokenizer["size"],
    }
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    write_json(folder / "manifest.json", {**manifest, "version": digest[:16]})
    return summary


def _write_shard(
    path: Path, rows: Sequence[list[int]], pairs: list[Pair], params: PackParams
) -> None:
    shapes = {
        "tokens": params.encoder_length,
        "segments": params.encoder_length,
        "target_tokens": params.decoder_length,
        "target_segments": params.decoder_length,
    }
    arrays = {
        name: np.full((len(rows), length), PAD, dtype=np.int32) for name, length in shapes.items()
    }
    for number, row in enumerate(rows):
        at_source = at_target = 0
        for segment, index in enumerate(row, start=1):
            source, target = pairs[index]
            here = slice(at_source, at_source + len(source))
            arrays["tokens"][number, here] = source
            arrays["segments"][number, here] = segment
            there = slice(at_target, at_target + len(target))
            arrays["target_tokens"][number, there] = target
            arrays["target_segments"][number, there] = segment
            at_source += len(source)
            at_target += len(target)
    columns = [
        pa.FixedSizeListArray.from_arrays(pa.array(arrays[name].ravel()), shapes[name])
        for name in COLUMNS
    ]
    table = pa.table(columns, names=list(COLUMNS))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
