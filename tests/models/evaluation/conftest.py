"""Small models of transformers with a tokenizer, and a workspace with evaluation data."""

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
from models.replicate import Replicate
from models.stages import evaluate
from models.weights import load_weights, save_weights
from tests.models.evaluation.factories import sentence, write_eval_data

VOCAB_SIZE = 140


@pytest.fixture(scope="session")
def spiece(tmp_path_factory):
    """Train a SentencePiece model on texts like the items', with T5's special ids."""
    folder = tmp_path_factory.mktemp("tokenizer")
    generator = random.Random(1)
    lines = [
        f"{sentence(generator, 9)} ({generator.choice('ABCDEF')}) {generator.randrange(200)} + = ? "
        "Answer: yes no Let's think step by step So the answer is Question: Q: A: Options: Output:"
        for _ in range(400)
    ]
    (folder / "texts").write_text("\n".join(lines))
    spm.SentencePieceTrainer.Train(
        input=str(folder / "texts"), model_prefix=str(folder / "spiece"), vocab_size=VOCAB_SIZE,
        character_coverage=1.0, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    return folder / "spiece.model"


@pytest.fixture(scope="session")
def hf_checkpoint(tmp_path_factory, spiece):
    """Save a random T5 v1.1 with transformers; large weights make its predictions confident."""
    folder = tmp_path_factory.mktemp("t5") / "hf_checkpoint"
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=VOCAB_SIZE, d_model=48, d_ff=96, num_heads=3, d_kv=16, num_layers=2,
            num_decoder_layers=2, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
            dropout_rate=0.0, decoder_start_token_id=0,
        )
    )  # fmt: skip
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3 if weight.dim() > 1 else 1.0)
    model.save_pretrained(folder)
    shutil.copyfile(spiece, folder / "spiece.model")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 0})
    )
    return folder


@pytest.fixture(scope="session")
def imported_weights(hf_checkpoint, tmp_path_factory):
    """Import the checkpoint of transformers."""
    folder = tmp_path_factory.mktemp("imported")
    import_folder(hf_checkpoint, folder)
    return folder


def build_workspace(folder, spiece, imported_weights):
    """Write a workspace with two runs to evaluate: `dense`, with imported tensors, and `moe`."""
    write_eval_data(folder / "data/eval_data")
    for path, content in (
        ("data/mixture/contamination.json", {}),
        ("data/validation/results.json", []),
        ("data/packed/validation.json", []),
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(content))
    (folder / "data/tokenizer").mkdir()
    shutil.copyfile(spiece, folder / "data/tokenizer/spiece.model")
    dense = load_weights(imported_weights)
    save_weights(
        folder / "runs/dense/seed_0/weights",
        dense.model,
        dense.tokenizer_sha256,
        max_input_tokens=256,
    )
    config = dataclasses.replace(preset("tiny_switch"), vocab_size=VOCAB_SIZE)
    model = T5(config).reset_parameters(1)
    tokenizer_sha256 = hashlib.sha256(spiece.read_bytes()).hexdigest()
    save_weights(folder / "runs/moe/seed_0/weights", model, tokenizer_sha256, max_input_tokens=256)
    return folder


@pytest.fixture
def workspace(tmp_path, spiece, imported_weights):
    """Build a workspace in which nothing is evaluated."""
    return build_workspace(tmp_path, spiece, imported_weights)


@pytest.fixture(autouse=True)
def _torch_settings():
    """Restore the settings that the stage `evaluate` changes."""
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def params():
    return EvaluationParams(suites=("sample",), batch_size=4, threads=1)


@pytest.fixture(scope="session")
def many_suites():
    """Parameters with multiple choice and free text, with and without exemplars."""
    suites = ("sample", "mmlu_direct", "bbh_cot", "reasoning_cot", "qa_direct")
    return EvaluationParams(suites=suites, batch_size=4, threads=1, max_new_tokens=8)


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory, spiece, imported_weights, many_suites):
    """Evaluate both runs on `many_suites`; tests only read the results."""
    folder = build_workspace(tmp_path_factory.mktemp("evaluated"), spiece, imported_weights)
    num_threads = torch.get_num_threads()
    for name in ("moe", "dense"):
        evaluate.run(Replicate(name, 0), many_suites, folder)
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(False)
    return folder
