"""What `benchmarks.data` starts as processes: a stage of ours, or a reference. Prints JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from data_pipelines import layout
from data_pipelines.params import (
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
MIXTURES = ("muffin", "t0_sf", "niv2", "cot")
MIX = MixParams(num_examples=10**9, caps={}, shares=dict.fromkeys(MIXTURES, 1.0))
PACK = PackParams(encoder_length=512, decoder_length=128)
VALIDATE = ValidateParams(min_english_share=0.0)  # made-up words are of no language
THREADS = len(os.sched_getaffinity(0))


def prepare(workspace: Path) -> dict[str, Any]:
    """Fetches, and trains the tokenizer that all use."""
    from data_pipelines.stages import clean, fetch, mix, read, tokenizer
    from data_pipelines.stages import eval_data as benchmarks

    root = str(workspace / "root")
    sources = ("flan/export", "benchmarks/gsm8k")
    fetch.run(FetchParams(sources=sources, root=root, verify=False), workspace)
    benchmarks.run(workspace)
    read.run(ReadParams(), ENGINE, workspace)
    clean.run(CleanParams(), ENGINE, workspace)
    mix.run(MIX, ENGINE, workspace)
    params = TokenizerParams(vocab_size=8000, num_sentinels=100, max_sentences=20_000)
    tokenizer.run(params, ENGINE, workspace)
    return {}


def stage(workspace: Path, name: str) -> dict[str, Any]:
    """One stage, as its command runs it."""
    from importlib import import_module

    run = import_module(f"data_pipelines.{name}").run
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


def lists(workspace: Path) -> dict[str, Any]:
    """The tokenizer alone, token ids as lists, on all threads."""
    processor, texts = _texts(workspace)
    began = time.perf_counter()
    count = sum(sum(map(len, processor.Encode(w, num_threads=THREADS))) for w in texts)
    return {"seconds": time.perf_counter() - began, "encoder_input_tokens": count}


def arrays(workspace: Path) -> dict[str, Any]:
    """The tokenizer alone, token ids as arrays, on all threads."""
    processor, texts = _texts(workspace)
    began = time.perf_counter()
    count = sum(sum(map(len, processor.EncodeAsNumpy(w, num_threads=THREADS))) for w in texts)
    return {"seconds": time.perf_counter() - began, "encoder_input_tokens": count}


def datasets(workspace: Path) -> dict[str, Any]:
    """Hugging Face datasets: read the JSON, map the tokenizer, pack greedily, save."""
    os.environ["HF_DATASETS_CACHE"] = str(workspace / f"hf-{time.time_ns()}")
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets as hf

    tokenizer = _fast_tokenizer(workspace)

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {
            "inputs": [[*e.ids[:511], 1] for e in tokenizer.encode_batch(batch["inputs"])],
            "targets": [[*e.ids[:127], 1] for e in tokenizer.encode_batch(batch["targets"])],
        }

    def greedy(batch: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
        """The next row begins where an example no longer fits."""
        rows: dict[str, list[list[int]]] = {
            name: []
            for name in (
                "encoder_input_tokens",
                "encoder_segment_ids",
                "decoder_target_tokens",
                "decoder_segment_ids",
            )
        }
        source: list[int] = []
        target: list[int] = []
        marks: list[int] = []
        target_marks: list[int] = []

        def close() -> None:
            rows["encoder_input_tokens"].append(source + [0] * (512 - len(source)))
            rows["encoder_segment_ids"].append(marks + [0] * (512 - len(marks)))
            rows["decoder_target_tokens"].append(target + [0] * (128 - len(target)))
            rows["decoder_segment_ids"].append(target_marks + [0] * (128 - len(target_marks)))

        segment = 0
        for ids, answer in zip(batch["inputs"], batch["targets"], strict=True):
            if segment and (len(source) + len(ids) > 512 or len(target) + len(answer) > 128):
                close()
                source, target, marks, target_marks, segment = [], [], [], [], 0
            segment += 1
            source, target = source + ids, target + answer
            marks, target_marks = (
                marks + [segment] * len(ids),
                target_marks + [segment] * len(answer),
            )
        close()
        return rows

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes of `map` are the parallelism
    began = time.perf_counter()
    file = str(workspace / "root/export/rows.jsonl")
    loaded = hf.load_dataset("json", data_files=file, split="train").shuffle(seed=0)
    loaded = loaded.flatten_indices(num_proc=THREADS)
    tokens = loaded.map(
        tokenize, batched=True, num_proc=THREADS, remove_columns=loaded.column_names
    )
    packed = tokens.map(
        greedy, batched=True, batch_size=5000, num_proc=THREADS, remove_columns=tokens.column_names
    )
    packed.save_to_disk(os.environ["HF_DATASETS_CACHE"] + "/packed")
    seconds = time.perf_counter() - began
    some = packed.select(range(min(2000, len(packed))))["encoder_segment_ids"]
    filled = sum(sum(1 for s in row if s) for row in some) / (512 * len(some))
    return {"seconds": seconds, "encoder_fill": round(filled, 4)}


def _texts(workspace: Path) -> tuple[Any, list[list[str]]]:
    import pyarrow.parquet as pq
    import sentencepiece as spm

    model = str(workspace / layout.TOKENIZER / "spiece.model")
    texts = []
    for path in sorted((workspace / layout.MIXTURE / "examples").glob("*.parquet")):
        table = pq.read_table(path, columns=["inputs", "targets"])
        texts.append([*table["inputs"].to_pylist(), *table["targets"].to_pylist()])
    return spm.SentencePieceProcessor(model_file=model), texts


def _fast_tokenizer(workspace: Path) -> Any:
    """The same pieces as a unigram model of Hugging Face's tokenizers."""
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
    "stage": stage,
    "lists": lists,
    "arrays": arrays,
    "datasets": datasets,
}

if __name__ == "__main__":
    kind, folder, *more = sys.argv[1:]
    print(json.dumps(KINDS[kind](Path(folder), *more)))
