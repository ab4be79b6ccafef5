"""`flanmoe predict` against an independent decoding loop, on a registry of release 0.1.0."""

import dataclasses
import json
import shutil

import pytest
import sentencepiece as spm
import torch

from flows.commands import predict as predict_command
from models.evaluation.predictor import Seq2SeqPredictor
from models.weights import load_weights
from tests.factories import ROOT, error_line, invoke
from tests.registry.release_0_1_0 import RELEASE_0_1_0, OldRegistry, copy_release_0_1_0

ANSWERS = json.loads((RELEASE_0_1_0 / "answers.json").read_text())
MAX_NEW_TOKENS = 12
MODEL = "flan-sample"
PAD, EOS = 0, 1


@pytest.fixture
def project(tmp_path):
    """Return a project with the registry of release 0.1.0, whose version 2 is champion."""
    folder = tmp_path / "project"
    copy_release_0_1_0(folder)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    return folder


def copied_artifacts(project):
    """Return the artifact folders of versions 1 (dense) and 2 (MoE)."""
    return OldRegistry(project).artifacts


def without_capacity(config):
    """Return the configuration with every expert accepting all tokens."""
    return dataclasses.replace(
        config, moe=dataclasses.replace(config.moe, capacity_factor_eval=None)
    )


def greedy_answer(artifact, instruction):
    """Decode with a full forward pass for every token, without a key-value cache."""
    model = load_weights(artifact / "weights", without_capacity).model.eval()
    processor = spm.SentencePieceProcessor(model_file=str(artifact / "tokenizer/spiece.model"))
    prompt = torch.tensor([[*processor.encode(instruction), EOS]])
    tokens = []
    with torch.no_grad():
        while EOS not in tokens and len(tokens) < MAX_NEW_TOKENS:
            decoder_input = torch.tensor([[PAD, *tokens]])
            logits = model(
                prompt, torch.ones_like(prompt), decoder_input, torch.ones_like(decoder_input)
            )
            tokens.append(int(logits[0, -1].argmax()))
    return processor.decode([token for token in tokens if token != EOS])


@pytest.mark.parametrize("instruction", ANSWERS)
def test_predict_prints_the_greedy_answer_of_the_champion(project, instruction):
    done = invoke("predict", instruction, "--max-new-tokens", MAX_NEW_TOKENS, cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    _, champion = copied_artifacts(project)
    assert done.stdout == greedy_answer(champion, instruction) + "\n"
    # Release 0.1.0 gave the same answer.
    assert done.stdout == ANSWERS[instruction] + "\n"


def lines_of(done):
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_predict_answers_the_lines_of_stdin_in_order(project, monkeypatch):
    monkeypatch.setattr(predict_command, "BATCH_SIZE", 2)
    instructions = [*ANSWERS, *reversed(ANSWERS)]
    text = "".join(f"{instruction}\n" for instruction in instructions).encode()
    words = ("predict", "--max-new-tokens", MAX_NEW_TOKENS)
    assert lines_of(invoke(*words, cwd=project, stdin=text)) == [ANSWERS[i] for i in instructions]


def test_predict_answers_json_lines_with_json_lines(project):
    inputs = [{"instruction": text, "id": number} for number, text in enumerate(ANSWERS)]
    text = "\n".join(json.dumps(entry) for entry in inputs).encode()
    words = (
        "predict",
        "--version",
        2,
        "--model",
        "flan-sample",
        "--max-new-tokens",
        MAX_NEW_TOKENS,
    )
    answers = [json.loads(line) for line in lines_of(invoke(*words, cwd=project, stdin=text))]
    assert [answer.pop("answer") for answer in answers] == list(ANSWERS.values())
    assert [(answer["id"], answer["instruction"]) for answer in answers] == list(enumerate(ANSWERS))
    for answer in answers:
        assert (answer["model"], answer["version"], answer["truncated"]) == (
            "flan-sample",
            2,
            False,
        )
        assert answer["num_tokens"] <= MAX_NEW_TOKENS
        assert answer["finished"] == (answer["num_tokens"] < MAX_NEW_TOKENS) or answer["finished"]


def test_predict_version_and_model_choose_the_model_that_answers(project):
    instruction = "Repeat. tiger"
    (line,) = lines_of(invoke("predict", instruction, "--version", 1, "--json", cwd=project))
    answer = json.loads(line)
    assert (answer["version"], answer["instruction"]) == (1, instruction)
    dense, _ = copied_artifacts(project)
    predictor = Seq2SeqPredictor.load(dense / "weights", dense / "tokenizer")
    assert answer["answer"] == predictor.generate([instruction], 64)[0].text
    assert "unknown model 'x'" in error_line(invoke("predict", "a", "--model", "x", cwd=project))
    assert "no version 9" in error_line(invoke("predict", "a", "--version", 9, cwd=project))


def test_predict_measure_adds_seconds_and_the_tokens_of_each_expert(project):
    text = "\n".join(ANSWERS).encode()
    words = ("predict", "--measure", "--json", "--max-new-tokens", MAX_NEW_TOKENS)
    answers = [json.loads(line) for line in lines_of(invoke(*words, cwd=project, stdin=text))]
    assert [answer["answer"] for answer in answers] == list(ANSWERS.values())
    _, moe = copied_artifacts(project)
    processor = spm.SentencePieceProcessor(model_file=str(moe / "tokenizer/spiece.model"))
    config = load_weights(moe / "weights").model.config
    for answer in answers:
        assert answer["seconds"] > 0
        num_prompt_tokens = len(processor.encode(answer["instruction"])) + 1
        for layer, counts in answer["experts"].items():
            # Each token has one expert: those of the prompt, and one for each decoding step.
            is_decoder = layer.startswith("decoder")
            assert sum(counts) == (answer["num_tokens"] if is_decoder else num_prompt_tokens), layer
            assert len(counts) == config.moe.num_experts
        assert {layer.split(".")[0] for layer in answer["experts"]} == {"encoder", "decoder"}
    (line,) = lines_of(invoke(*words, "--version", 1, "Repeat. tiger", cwd=project))
    assert json.loads(line)["experts"] == {}


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        (b"", "INSTRUCTION: missing; expected an argument, or one instruction a line on stdin"),
        (b"a\n\nb\n", "stdin: line 2: expected a text, got an empty one"),
        (b"a\n\xff\n", "stdin: line 2 is not UTF-8"),
        (b'{"instruction": "a"}\n{', "stdin: line 2 is not JSON; expected an object such as"),
        (b'{"instruction": "a"}\nb', "stdin: line 2 is not JSON"),
        (b'{"instruction": 1}', "stdin: line 1 has no text `instruction`"),
        (b'{"text": "a"}', "stdin: line 1 has no text `instruction`"),
        (b'{"instruction": " "}', "stdin: line 1: expected a text, got an empty one"),
        (b'{"instruction": "\\ud800"}', "stdin: line 1: the text has an unpaired surrogate"),
        (b'{"instruction": "a", "answer": "b"}', "stdin: line 1: field 'answer' is one of the out"),
    ],
)
def test_predict_bad_input_names_the_line(project, stdin, message):
    done = invoke("predict", cwd=project, stdin=stdin)
    assert error_line(done).removeprefix("error: ").startswith(message)
    assert done.stdout == ""


def test_predict_empty_instruction_is_rejected(project):
    assert "INSTRUCTION" in error_line(invoke("predict", " ", cwd=project))


@pytest.mark.parametrize("change", [lambda size: bytes(size), lambda size: bytes(size // 2)])
def test_predict_with_zeroed_or_truncated_weights_fails(project, change):
    _, moe = copied_artifacts(project)
    weights = moe / "weights" / "model.safetensors"
    weights.write_bytes(change(weights.stat().st_size))
    line = error_line(invoke("predict", "Repeat. tiger", cwd=project))
    assert "weights/model.safetensors is missing from its artifact or does not match" in line
    assert "`flanmoe registry register FOLDER`" in line
