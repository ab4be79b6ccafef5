"""Small models of transformers with a tokenizer, and benchmark files in the data room's form."""

import dataclasses
import hashlib
import json
import random
import shutil

import pytest
import sentencepiece as spm
import torch
from transformers import T5Config, T5ForConditionalGeneration

from models.architecture.t5 import T5
from models.evaluation.params import EvaluationParams
from models.interchange.hugging_face import import_folder
from models.presets import preset
from models.weights import save_weights

WORDS = """
ducks eggs morning friends market dollars house robe bolts fiber laps meters chickens cups feed
glasses price second town buys sells half twice left total many does make every day stone water
light energy plant animal mass force heat which of these best the a is are
""".split()  # noqa: SIM905
PIECES = 140


def sentence(generator, words):
    return " ".join(generator.choice(WORDS) for _ in range(words)).capitalize()


def lettered(generator, name, options=4):
    texts = [f"({letter}) {sentence(generator, 3)}" for letter in "ABCDEF"[:options]]
    question = sentence(generator, 12) + "?"
    return {
        "id": name, "text": "\n".join([question, *texts]), "question": question,
        "choices": " ".join(texts), "answer": generator.choice("ABCDEF"[:options]),
        "options": list("ABCDEF"[:options]),
    }  # fmt: skip


def yes_or_no(generator, name):
    text = f"{sentence(generator, 30)}.\nQuestion: {sentence(generator, 6)}?"
    answer = generator.choice(["yes", "no"])
    return {"id": name, "text": text, "question": text, "answer": answer, "options": ["yes", "no"]}


def problem(generator, name):
    a, b = generator.randrange(2, 90), generator.randrange(2, 90)
    text = f"{sentence(generator, 9)} {a} {sentence(generator, 4)} {b} {sentence(generator, 3)}?"
    return {
        "id": name, "text": text, "question": text, "answer": str(a + b),
        "rationale": f"\n{a} + {b} = {a + b}.\nThe answer is {a + b}.",
    }  # fmt: skip


def bbh(generator, name):
    text = f"{sentence(generator, 12)}\nOptions:\n(A) {sentence(generator, 2)}\n(B) stone"
    answer = generator.choice(["(A)", "(B)"])
    return {
        "id": name, "text": text, "question": text, "answer": answer, "options": ["(A)", "(B)"],
        "preamble": "Choose what is best.",
        "rationale": f"\n{sentence(generator, 8)}. So the answer is {answer}.",
    }  # fmt: skip


MADE = {
    ("mmlu", "abstract_algebra"): (lettered, 9),
    ("mmlu", "anatomy"): (lettered, 7),
    ("mmlu_dev", "abstract_algebra"): (lettered, 5),
    ("mmlu_dev", "anatomy"): (lettered, 5),
    ("bbh", "navigate"): (bbh, 8),
    ("bbh_exemplars", "navigate"): (bbh, 3),
    ("gsm8k", "test"): (problem, 8),
    ("gsm8k_exemplars", "prompt_original"): (problem, 8),
    ("boolq", "val"): (yes_or_no, 9),
    ("arc_challenge", "ARC-Challenge-Test"): (lettered, 6),
    ("sample", "size_of"): (problem, 10),
    ("sample", "topic"): (yes_or_no, 10),
}


def write_benchmarks(folder, made=MADE, seed=0):
    """data/eval_data with these tasks."""
    generator = random.Random(seed)
    index = []
    for (suite, task), (make, count) in made.items():
        items = [make(generator, f"{task}-{i}") for i in range(count)]
        file = folder / suite / f"{task}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(item) + "\n" for item in items))
        index.append(
            {
                "suite": suite, "task": task, "file": f"{suite}/{task}.jsonl", "num_items": count,
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "truncated": False,
                "rejected": [],
            }
        )  # fmt: skip
    (folder / "index.json").write_text(json.dumps(index))


@pytest.fixture(scope="session")
def spiece(tmp_path_factory):
    """A SentencePiece model of these texts, with T5's ids."""
    folder = tmp_path_factory.mktemp("tokenizer")
    generator = random.Random(1)
    lines = [
        f"{sentence(generator, 9)} ({generator.choice('ABCDEF')}) {generator.randrange(200)} + = ? "
        "Answer: yes no Let's think step by step So the answer is Question: Q: A: Options: Output:"
        for _ in range(400)
    ]
    (folder / "texts").write_text("\n".join(lines))
    spm.SentencePieceTrainer.Train(
        input=str(folder / "texts"), model_prefix=str(folder / "spiece"), vocab_size=PIECES,
        character_coverage=1.0, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    return folder / "spiece.model"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, spiece):
    """A T5 v1.1 checkpoint as transformers saves it, its weights large enough to have opinions."""
    folder = tmp_path_factory.mktemp("t5") / "theirs"
    torch.manual_seed(0)
    made = T5ForConditionalGeneration(
        T5Config(
            vocab_size=PIECES, d_model=48, d_ff=96, num_heads=3, d_kv=16, num_layers=2,
            num_decoder_layers=2, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
            dropout_rate=0.0, decoder_start_token_id=0,
        )
    )  # fmt: skip
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.3 if weight.dim() > 1 else 1.0)
    made.save_pretrained(folder)
    shutil.copyfile(spiece, folder / "spiece.model")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 0})
    )
    return folder


@pytest.fixture(scope="session")
def imported(checkpoint, tmp_path_factory):
    """The same, imported."""
    folder = tmp_path_factory.mktemp("imported")
    import_folder(checkpoint, folder)
    return folder


@pytest.fixture
def workspace(tmp_path, spiece, imported):
    """A workspace with two runs, of which one is the imported model, ready to be evaluated."""
    write_benchmarks(tmp_path / "data/eval_data")
    for folder, text in (
        ("data/packed/train/manifest.json", {"encoder_length": 256}),
        ("data/mixture/contamination.json", {}),
        ("data/validation/results.json", []),
        ("data/packed/validation.json", []),
    ):
        (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder).write_text(json.dumps(text))
    (tmp_path / "data/tokenizer").mkdir()
    shutil.copyfile(spiece, tmp_path / "data/tokenizer/spiece.model")
    shutil.copytree(imported, tmp_path / "runs/dense/weights")
    config = dataclasses.replace(preset("tiny_switch"), vocab_size=PIECES)
    model = T5(config).reset_parameters(1)
    digest = hashlib.sha256(spiece.read_bytes()).hexdigest()
    save_weights(tmp_path / "runs/moe/weights", model, digest)
    return tmp_path


@pytest.fixture
def params():
    return EvaluationParams(suites=("sample",), batch_size=4, threads=1)
