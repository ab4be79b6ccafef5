"""`flanmoe predict` against an independent decoding loop, on a registry of release 0.1.0."""

import dataclasses
import json
import shutil

import pytest
import sentencepiece as spm
import torch

from models.weights import load_weights
from tests.factories import ROOT, error_line, invoke
from tests.registry.factories import RELEASE_0_1_0, copy_release_0_1_0

ANSWERS = json.loads((RELEASE_0_1_0 / "answers.json").read_text())
MAX_NEW_TOKENS = 12
PAD, EOS = 0, 1


@pytest.fixture
def project(tmp_path):
    """Return a project with the registry of release 0.1.0, whose version 2 is champion."""
    folder = tmp_path / "project"
    copy_release_0_1_0(folder)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    return folder


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
    champion = next(
        folder
        for folder in (project / ".flanmoe" / "artifacts").iterdir()
        if json.loads((folder / "run.json").read_text())["name"] == "moe"
    )
    assert done.stdout == greedy_answer(champion, instruction) + "\n"
    # Release 0.1.0 gave the same answer.
    assert done.stdout == ANSWERS[instruction] + "\n"


def test_predict_empty_instruction_is_rejected(project):
    assert "INSTRUCTION" in error_line(invoke("predict", " ", cwd=project))
