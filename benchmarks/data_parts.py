"""The processes that `benchmarks.data` starts: a stage of flanmoe, or a reference.

    python -m benchmarks.data_parts KIND WORKSPACE [STAGE]

Prints its results as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from data_pipelines import layout
from data_pipelines.packed import COLUMNS
from data_pipelines.params import (
    MIXTURES,
    CleanParams,
    EngineParams,
    FetchParams,
    MixParams,
    PackParams,
    ReadParams,
    TokenizerParams,
    ValidateParams,
)

ENGINE = EngineParams()
MIX = MixParams(num_examples=10**9, caps={}, shares=dict.fromkeys(MIXTURES, 1.0))
PACK = PackParams(encoder_length=512, decoder_length=128)
VALIDATE = ValidateParams(min_english_share=0.0)  # generated words have no language
THREADS = len(os.sched_getaffinity(0))


def prepare(workspace: Path) -> dict[str, Any]:
    """Run the stages up to the tokenizer, which all candidates use."""
    from data_pipelines.stages import clean, eval_data, fetch, mix, read, tokenizer

    root = str(workspace / "root")
    sources = ("flan/export", "eval_data/gsm8k")
    fetch.run(FetchParams(sources=sources, root=root, verify=False), workspace)
    eval_data.run(workspace)
    read.run(ReadParams(), ENGINE, workspace)
    clean.run(CleanParams(), ENGINE, workspace)
    mix.run(MIX, ENGINE, workspace)
    params = TokenizerParams(vocab_size=8000, num_sentinels=100, max_sentences=20_000)
    tokenizer.run(params, ENGINE, workspace)
    return {}


def run_stage(workspace: Path, name: str) -> dict[str, Any]:
    """Run one stage as its command does."""
    from importlib import import_module

    run = import_module(f"data_pipelines.stages.{name}").run
    arguments: dict[str, tuple[Any, ...]] = {
        "read": (ReadParams(), ENGINE),
        "clean": (CleanParams(), ENGINE),
        "mix": (MIX, ENGINE),
        "validate": (VALIDATE, ReadParams(), ENGINE),
        "pack": (PACK, ENGINE),
    }
    run(*arguments[name], workspace)
    if name != "pack":
        return {}
    summary = json.loads((workspace / layout.PACKED / "summary.json").read_text())
    return {"encoder_fill": summary["train"]["encoder_fill"]}


def tokenize_to_lists(workspace: Path) -> dict[str, Any]:
    """Run only the tokenizer, with lists as its output, on all threads."""
    processor, shards = _load_texts(workspace)
    start = time.perf_counter()
    count = sum(sum(map(len, processor.Encode(s, num_threads=THREADS))) for s in shards)
    return {"seconds": time.perf_counter() - start, "num_tokens": count}


def tokenize_to_arrays(workspace: Path) -> dict[str, Any]:
    """Run only the tokenizer, with arrays as its output, on all threads."""
    processor, shards = _load_texts(workspace)
    start = time.perf_counter()
    count = sum(sum(map(len, processor.EncodeAsNumpy(s, num_threads=THREADS))) for s in shards)
    return {"seconds": time.perf_counter() - start, "num_tokens": count}


def run_datasets(workspace: Path) -> dict[str, Any]:
    """Read, tokenize, greedily pack and save the rows with Hugging Face datasets."""
    os.environ["HF_DATASETS_CACHE"] = str(workspace / f"hf-{time.time_ns()}")
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets as hf

    tokenizer = _fast_tokenizer(workspace)

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {
            "inputs": [[*e.ids[:511], 1] for e in tokenizer.encode_batch(batch["inputs"])],
            "targets": [[*e.ids[:127], 1] for e in tokenizer.encode_batch(batch["targets"])],
        }

    def pack_greedily(batch: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
        """Start a new row when an example does not fit."""
        rows: dict[str, list[list[int]]] = {column: [] for column in COLUMNS}
        inputs: list[int] = []
        targets: list[int] = []
        input_segments: list[int] = []
        target_segments: list[int] = []

        def close_row() -> None:
            sides = ((inputs, 512), (input_segments, 512), (targets, 128), (target_segments, 128))
            for column, (values, length) in zip(COLUMNS, sides, strict=True):
                rows[column].append(values + [0] * (length - len(values)))

        segment = 0
        for input_ids, target_ids in zip(batch["inputs"], batch["targets"], strict=True):
            is_full = len(inputs) + len(input_ids) > 512 or len(targets) + len(target_ids) > 128
            if segment and is_full:
                close_row()
                inputs, targets, input_segments, target_segments, segment = [], [], [], [], 0
            segment += 1
            inputs, targets = inputs + input_ids, targets + target_ids
            input_segments = input_segments + [segment] * len(input_ids)
            target_segments = target_segments + [segment] * len(target_ids)
        close_row()
        return rows

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # `map` runs several processes
    start = time.perf_counter()
    file = str(workspace / "root/export/rows.jsonl")
    loaded = hf.load_dataset("json", data_files=file, split="train").shuffle(seed=0)
    loaded = loaded.flatten_indices(num_proc=THREADS)
    tokens = loaded.map(
        tokenize, batched=True, num_proc=THREADS, remove_columns=loaded.column_names
    )
    packed = tokens.map(
        pack_greedily,
        batched=True,
        batch_size=5000,
        num_proc=THREADS,
        remove_columns=tokens.column_names,
    )
    packed.save_to_disk(os.environ["HF_DATASETS_CACHE"] + "/packed")
    seconds = time.perf_counter() - start
    sample = packed.select(range(min(2000, len(packed))))["encoder_segment_ids"]
    fill = sum(sum(1 for s in row if s) for row in sample) / (512 * len(sample))
    return {"seconds": seconds, "encoder_fill": round(fill, 4)}


def _load_texts(workspace: Path) -> tuple[Any, list[list[str]]]:
    """Return the tokenizer, and the texts of each shard of the mixture."""
    import pyarrow.parquet as pq
    import sentencepiece as spm

    model = str(workspace / layout.TOKENIZER / "spiece.model")
    shards = []
    for path in sorted((workspace / layout.MIXTURE / "examples").glob("*.parquet")):
        table = pq.read_table(path, columns=["inputs", "targets"])
        shards.append([*table["inputs"].to_pylist(), *table["targets"].to_pylist()])
    return spm.SentencePieceProcessor(model_file=model), shards


def _fast_tokenizer(workspace: Path) -> Any:
    """Return the pieces of the SentencePiece model as a Hugging Face unigram tokenizer."""
    import sentencepiece as spm
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    model = str(workspace / layout.TOKENIZER / "spiece.model")
    processor = spm.SentencePieceProcessor(model_file=model)
    pieces = [
        (processor.IdToPiece(i), processor.GetScore(i)) for i in range(processor.vocab_size())
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=True))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


KINDS = {
    "prepare": prepare,
    "stage": run_stage,
    "tokenizer_lists": tokenize_to_lists,
    "tokenizer_arrays": tokenize_to_arrays,
    "datasets": run_datasets,
}

if __name__ == "__main__":
    kind, folder, *stage_names = sys.argv[1:]
    print(json.dumps(KINDS[kind](Path(folder), *stage_names)))
