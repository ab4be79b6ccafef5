"""Speed of evaluation relative to lm-evaluation-harness's Hugging Face seq2seq backend.

    python -m benchmarks.evaluation --quick
    python -m benchmarks.evaluation --json figures.json

A T5 v1.1 of the small size (d_model 512, 8 + 8 layers, vocabulary 32128) in float32; both use the
same weights and run through the harness, from prompts to scores. Multiple choice: 5 exemplars and
a question with 4 options, 730 tokens, as in MMLU. Generation: 8 exemplars, 1,260 tokens, as in
GSM8K, and 128 new tokens for every item. The texts are random words; 8 items per batch; measured
interleaved, medians. `--quick` uses a smaller model and fewer items.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentencepiece as spm
import torch

from benchmarks.timing import machine_info, start_benchmark, time_interleaved, write_figures
from models.evaluation.adapter import Seq2SeqLM
from models.evaluation.batches import run_batch
from models.evaluation.eval_data import EvalTask, TaskItem
from models.evaluation.harness_tasks import run_tasks, task_config
from models.evaluation.predictor import Seq2SeqPredictor
from models.evaluation.prompts import build_prompts
from models.evaluation.response_cache import ResponseCache
from models.evaluation.samples import PreparedTask
from models.evaluation.suite import Suite, load_suite
from models.interchange.hugging_face import import_folder

MAX_INPUT_TOKENS, MAX_NEW_TOKENS = 2048, 128
NUM_PIECES, VOCAB_SIZE = 2000, 32128
BATCH_SIZE = 8
FULL = {"d_model": 512, "d_ff": 1024, "num_heads": 6, "num_layers": 8}
QUICK = {"d_model": 64, "d_ff": 128, "num_heads": 1, "num_layers": 2}


@dataclass(frozen=True)
class Backends:
    """The same weights in this project's predictor and in transformers."""

    predictor: Seq2SeqPredictor
    hf_model: Any
    hf_tokenizer: Any
    folder: Path


def main() -> None:
    """Measure, print a table and write the figures."""
    turns, options = start_benchmark(__doc__)
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.disable(logging.WARNING)
    num_items, max_new_tokens = (4, 16) if options.quick else (8, MAX_NEW_TOKENS)
    figures: dict[str, Any] = {"machine": machine_info("torch", "transformers", "lm_eval")}
    with tempfile.TemporaryDirectory() as folder:
        words = _random_words()
        backends = _build_backends(Path(folder), words, QUICK if options.quick else FULL)
        for name, (suite, task), max_tokens in (
            ("multiple_choice", _multiple_choice_task(words, num_items), 0),
            ("generation", _generation_task(words, num_items), max_new_tokens),
        ):
            prepared = PreparedTask(
                suite=suite,
                task=task,
                prompts=build_prompts(suite, task, backends.predictor.num_tokens, MAX_INPUT_TOKENS),
                max_new_tokens=max_tokens,
            )
            figures[name] = _measure(prepared, backends, turns)
    for name, result in figures.items():
        if name != "machine":
            print(f"{name}, items per second: {result['items_per_second']}")
            print(f"  flanmoe ÷ Hugging Face backend: {result['speedup']}")
    write_figures(figures, options.json)


def _measure(task: PreparedTask, backends: Backends, turns: int) -> dict[str, Any]:
    threads = torch.get_num_threads()
    cases = {
        "flanmoe": _flanmoe_case(task, backends, BATCH_SIZE, threads),
        "hugging_face": _hugging_face_case(task, backends, threads),
        "flanmoe, batch size 1": _flanmoe_case(task, backends, 1, threads),
        "flanmoe, 1 thread": _flanmoe_case(task, backends, BATCH_SIZE, 1),
    }
    seconds = time_interleaved(cases, turns, warmup=1)
    torch.set_num_threads(threads)
    num_items = len(task.prompts)
    num_tokens = sum(backends.predictor.num_tokens(prompt.prompt) for prompt in task.prompts)
    return {
        "items": num_items,
        "tokens": num_tokens // num_items,
        "items_per_second": {name: round(num_items / s, 2) for name, s in seconds.items()},
        "speedup": round(seconds["hugging_face"] / seconds["flanmoe"], 2),
    }


def _flanmoe_case(
    task: PreparedTask, backends: Backends, batch_size: int, threads: int
) -> Callable[[], object]:
    predictor = backends.predictor

    def run() -> object:
        torch.set_num_threads(threads)
        cache_file = backends.folder / "responses.jsonl"
        cache_file.unlink(missing_ok=True)
        model = Seq2SeqLM(
            predictor,
            lambda batches: ((batch, run_batch(batch, predictor)) for batch in batches),
            ResponseCache(cache_file),
            batch_size=batch_size,
            max_batch_tokens=10**9,
        )
        return run_tasks(model, [task_config(task)])

    return run


def _hugging_face_case(
    task: PreparedTask, backends: Backends, threads: int
) -> Callable[[], object]:
    from lm_eval.models.huggingface import HFLM

    def run() -> object:
        torch.set_num_threads(threads)
        model = HFLM(
            pretrained=backends.hf_model,
            backend="seq2seq",
            tokenizer=backends.hf_tokenizer,
            max_length=MAX_INPUT_TOKENS,
            batch_size=BATCH_SIZE,
            device="cpu",
        )
        config = task_config(task)
        if "generation_kwargs" in config:
            # The backend's limit of new tokens counts the prompt's for encoder-decoders.
            config["generation_kwargs"]["max_length"] = task.max_new_tokens + 1
        return run_tasks(model, [config])

    return run


def _random_words() -> list[str]:
    generator = random.Random(0)
    syllables = ["ba", "ke", "lo", "mi", "ru", "sa", "te", "no", "vi", "du", "ga", "pe"]
    return sorted({"".join(generator.choices(syllables, k=3)) for _ in range(900)})


def _multiple_choice_task(words: list[str], num_items: int) -> tuple[Suite, EvalTask]:
    generator = random.Random(1)

    def build_item(item_id: str) -> TaskItem:
        question = " ".join(generator.choices(words, k=28))
        choices = [f"({letter}) {' '.join(generator.choices(words, k=5))}" for letter in "ABCD"]
        text = "\n".join([question, *choices])
        return TaskItem(id=item_id, text=text, answer="A", options=tuple("ABCD"))

    items = [build_item(f"q{i}") for i in range(num_items + 5)]
    return load_suite("mmlu_direct"), _build_task(items, num_exemplars=5)


def _generation_task(words: list[str], num_items: int) -> tuple[Suite, EvalTask]:
    generator = random.Random(2)

    def build_item(item_id: str) -> TaskItem:
        reasoning = " ".join(generator.choices(words, k=28))
        return TaskItem(
            id=item_id,
            text=" ".join(generator.choices(words, k=30)),
            answer="7",
            rationale=f"\n{reasoning}.\nThe answer is 7.",
        )

    items = [build_item(f"q{i}") for i in range(num_items + 8)]
    return load_suite("reasoning_cot"), _build_task(items, num_exemplars=8)


def _build_task(items: list[TaskItem], num_exemplars: int) -> EvalTask:
    return EvalTask(
        name="speed/task",
        dataset="speed",
        file="task",
        group="",
        source_file="",
        split="",
        num_published=None,
        items=items[num_exemplars:],
        exemplars=items[:num_exemplars],
        sha256="",
        partial_reason="",
        num_rejected=0,
    )


def _build_backends(folder: Path, words: list[str], size: dict[str, int]) -> Backends:
    """Save a random model of transformers with a tokenizer, and import it."""
    from transformers import T5Tokenizer

    _train_tokenizer(folder, words)
    hf_model = _random_hf_model(size)
    hf_model.save_pretrained(folder / "hf")
    shutil.copyfile(folder / "spiece.model", folder / "hf/spiece.model")
    tokenizer_config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0}
    (folder / "hf/tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    import_folder(folder / "hf", folder / "flanmoe")
    return Backends(
        predictor=Seq2SeqPredictor.load(folder / "flanmoe", folder, MAX_INPUT_TOKENS),
        hf_model=hf_model,
        hf_tokenizer=T5Tokenizer.from_pretrained(folder / "hf"),
        folder=folder,
    )


def _train_tokenizer(folder: Path, words: list[str]) -> None:
    generator = random.Random(3)
    texts = [
        " ".join(generator.choices(words, k=12)) + " (A) (B) (C) (D) 7. Answer: Question: Let's "
        "think step by step The answer is following multiple choice questions about"
        for _ in range(3000)
    ]
    (folder / "texts").write_text("\n".join(texts), encoding="utf-8")
    spm.SentencePieceTrainer.Train(
        input=str(folder / "texts"), model_prefix=str(folder / "spiece"), vocab_size=NUM_PIECES,
        hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip


def _random_hf_model(size: dict[str, int]) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=VOCAB_SIZE, d_kv=64, **size, num_decoder_layers=size["num_layers"],
            feed_forward_proj="gated-gelu", tie_word_embeddings=False,
            dropout_rate=0.0, decoder_start_token_id=0,
        )
    ).eval()  # fmt: skip
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.05 if weight.dim() > 1 else 1.0)
    with torch.no_grad():
        # Both models generate only pieces of the tokenizer, and no end-of-sequence token.
        model.lm_head.weight[NUM_PIECES:] = 0
        model.lm_head.weight[1] = 0
    return model


if __name__ == "__main__":
    main()
