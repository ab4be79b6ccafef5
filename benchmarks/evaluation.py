"""Speed of evaluation against lm-evaluation-harness's own Hugging Face seq2seq backend.

    python -m benchmarks.evaluation --quick
    python -m benchmarks.evaluation --json figures.json

A T5 v1.1 of the small size (d_model 512, 8 + 8 layers, vocabulary 32128), the same weights for
both, float32, through the harness from prompts to scores. Choice: 5 examples and a question with 4
options, 730 tokens, as MMLU. Writing: 8 worked examples, 1,260 tokens, as GSM8K, and 128
new tokens for every item. The texts are random words, 8 items a batch; in turns, medians.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sentencepiece as spm
import torch

from benchmarks.timing import begin, interleaved, machine, write
from models.evaluation import suite as suites
from models.evaluation.adapter import EncoderDecoder
from models.evaluation.batches import answer
from models.evaluation.eval_data import EvalTask
from models.evaluation.predictor import Seq2SeqPredictor
from models.evaluation.prompts import EvalPrompt, questions
from models.evaluation.responses import ResponseCache
from models.evaluation.samples import PreparedTask
from models.evaluation.tasks import run_tasks, task_config
from models.interchange.hugging_face import import_folder

MAX_INPUT, NEW, PIECES, VOCABULARY = 2048, 128, 2000, 32128
BATCH = 8


def main() -> None:
    """Measures, prints a table, and writes the figures where asked."""
    turns, chosen = begin(__doc__)
    turns = 1 if chosen.quick else turns
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.disable(logging.WARNING)
    items = 4 if chosen.quick else 8
    with tempfile.TemporaryDirectory() as folder:
        words = _words()
        theirs, tokenizer = _checkpoint(Path(folder), words)
        answerer = Seq2SeqPredictor.load(Path(folder) / "ours", Path(folder), MAX_INPUT)
        figures: dict[str, Any] = {"machine": machine("torch", "transformers", "lm_eval")}
        cases = [("choice", _choice(words, items)), ("writing", _writing(words, items))]
        for name, (suite, task) in cases:
            asked = questions(suite, task, answerer.length, MAX_INPUT)
            tokens = sum(answerer.length(q.prompt) for q in asked) // len(asked)
            new = NEW if name == "writing" else 0
            figures[name] = {"items": items, "tokens": tokens} | _compared(
                suite, task, asked, new, answerer, theirs, tokenizer, Path(folder), turns
            )
    for name, found in figures.items():
        if name != "machine":
            print(f"{name}, items a second: {found['items_per_second']}")
            print(f"  ours ÷ theirs: {found['ratio']}")
    write(figures, chosen.json)


def _compared(
    suite: suites.Suite,
    task: EvalTask,
    asked: list[EvalPrompt],
    new: int,
    answerer: Seq2SeqPredictor,
    theirs: Any,
    tokenizer: Any,
    folder: Path,
    turns: int,
) -> dict[str, Any]:
    from lm_eval.models.huggingface import HFLM

    def config() -> dict[str, Any]:
        return task_config(PreparedTask(suite=suite, task=task, questions=asked, max_new_tokens=new))

    def ours_at(batch: int, threads: int) -> Callable[[], object]:
        def run() -> object:
            torch.set_num_threads(threads)
            store = folder / "responses.jsonl"
            store.unlink(missing_ok=True)
            model = EncoderDecoder(
                answerer,
                lambda wanted: ((b, answer(b, answerer)) for b in wanted),
                ResponseCache(store),
                items=batch,
                tokens=10**9,
            )
            return run_tasks(model, [config()])

        return run

    def theirs_at(batch: int) -> Callable[[], object]:
        def run() -> object:
            torch.set_num_threads(threads)
            model = HFLM(
                pretrained=theirs, backend="seq2seq", tokenizer=tokenizer, max_length=MAX_INPUT,
                batch_size=batch, device="cpu",
            )  # fmt: skip
            made = config()
            if "generation_kwargs" in made:
                # Their limit of new tokens counts the prompt's for encoder-decoders.
                made["generation_kwargs"]["max_length"] = new + 1
            return run_tasks(model, [made])

        return run

    threads = torch.get_num_threads()
    cases = {
        "ours": ours_at(BATCH, threads),
        "theirs": theirs_at(BATCH),
        "ours, batch of 1": ours_at(1, threads),
        "ours, 1 thread": ours_at(BATCH, 1),
    }
    seconds = interleaved(cases, turns, warm=1)
    torch.set_num_threads(threads)
    return {
        "items_per_second": {name: round(len(asked) / s, 2) for name, s in seconds.items()},
        "ratio": round(seconds["theirs"] / seconds["ours"], 2),
    }


def _words() -> list[str]:
    generator = random.Random(0)
    syllables = ["ba", "ke", "lo", "mi", "ru", "sa", "te", "no", "vi", "du", "ga", "pe"]
    return sorted({"".join(generator.choices(syllables, k=3)) for _ in range(900)})


def _choice(words: list[str], items: int) -> tuple[suites.Suite, EvalTask]:
    generator = random.Random(1)

    def item(name: str) -> dict[str, Any]:
        text = " ".join(generator.choices(words, k=28))
        listed = [f"({a}) {' '.join(generator.choices(words, k=5))}" for a in "ABCD"]
        return {
            "id": name, "text": "\n".join([text, *listed]), "answer": "A", "options": list("ABCD"),
        }  # fmt: skip

    return suites.load("mmlu_direct"), _task([item(f"q{i}") for i in range(items + 5)], 5)


def _writing(words: list[str], items: int) -> tuple[suites.Suite, EvalTask]:
    generator = random.Random(2)

    def item(name: str) -> dict[str, Any]:
        told = " ".join(generator.choices(words, k=28))
        return {
            "id": name, "text": " ".join(generator.choices(words, k=30)), "answer": "7",
            "rationale": f"\n{told}.\nThe answer is 7.",
        }  # fmt: skip

    return suites.load("reasoning_cot"), _task([item(f"q{i}") for i in range(items + 8)], 8)


def _task(items: list[dict[str, Any]], shots: int) -> EvalTask:
    return EvalTask(
        name="speed/task", benchmark="speed", file="task", group="", items=items[shots:],
        exemplars=items[:shots], sha256="", partial="", refused=0,
    )  # fmt: skip


def _checkpoint(folder: Path, words: list[str]) -> tuple[Any, Any]:
    """A random model of transformers and its tokenizer; the same imported in folder/ours."""
    from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

    generator = random.Random(3)
    texts = [
        " ".join(generator.choices(words, k=12)) + " (A) (B) (C) (D) 7. Answer: Question: Let's "
        "think step by step The answer is following multiple choice questions about"
        for _ in range(3000)
    ]
    (folder / "texts").write_text("\n".join(texts), encoding="utf-8")
    spm.SentencePieceTrainer.Train(
        input=str(folder / "texts"), model_prefix=str(folder / "spiece"), vocab_size=PIECES,
        hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    torch.manual_seed(0)
    made = T5ForConditionalGeneration(
        T5Config(
            vocab_size=VOCABULARY, d_model=512, d_ff=1024, num_heads=6, d_kv=64, num_layers=8,
            num_decoder_layers=8, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
            dropout_rate=0.0, decoder_start_token_id=0,
        )
    ).eval()  # fmt: skip
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.05 if weight.dim() > 1 else 1.0)
    with torch.no_grad():
        # Neither model writes what is no piece of the tokenizer, nor an end.
        made.lm_head.weight[PIECES:] = 0
        made.lm_head.weight[1] = 0
    made.save_pretrained(folder / "theirs")
    shutil.copyfile(folder / "spiece.model", folder / "theirs/spiece.model")
    tokenizer = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0}
    (folder / "theirs/tokenizer_config.json").write_text(json.dumps(tokenizer))
    import_folder(folder / "theirs", folder / "ours")
    return made, T5Tokenizer.from_pretrained(folder / "theirs")


if __name__ == "__main__":
    main()
