"""`flanmoe predict`: the champion's answer to an instruction."""

from __future__ import annotations

from pathlib import Path

from flows.config import load as check
from flows.errors import FlowError
from flows.runtime import workspace as project
from registry.store import Registry


def predict(instruction: str, max_new_tokens: int) -> str:
    """Raises FlowError for an empty instruction, UnknownVersion where there is no champion."""
    if not instruction.strip():
        raise FlowError("the instruction is empty: say what the model should do")
    root = project.find()
    params = check.load(root / "params.yaml")
    registry = Registry.open(project.home(root), params.registry.artifacts)
    champion = registry.champion(params.registry.model)
    folder = Path(champion["artifact"])
    from models.evaluation.predictor import Seq2SeqPredictor

    length = int(champion["run_record"]["sequence"]["encoder_length"])
    answerer = Seq2SeqPredictor.load(folder / "weights", folder / "tokenizer", length)
    return answerer.generate([instruction], max_new_tokens)[0].text
