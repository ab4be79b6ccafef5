"""What became of each item: a row of samples.parquet."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from models.config import ModelConfig
from models.cost import flops
from models.evaluation.batches import Response
from models.evaluation.eval_data import EvalTask
from models.evaluation.metrics import Scored, score
from models.evaluation.prompts import EvalPrompt
from models.evaluation.suite import Suite


@dataclass(frozen=True, kw_only=True)
class PreparedTask:
    """A task of a suite with its questions for one model."""

    suite: Suite
    task: EvalTask
    questions: list[EvalPrompt]
    max_new_tokens: int
    judged: dict[str, Scored] = field(default_factory=dict)
    """Item -> what its written answer was found to be."""

    def judge(self, doc: dict[str, Any], results: list[str]) -> dict[str, float]:
        """What the harness calls with each written answer."""
        question = self._by_id[doc["id"]]
        found = self.judged[question.id] = score(self.suite.metric, question, results[0])
        return {self.suite.metric: found.score}

    @cached_property
    def _by_id(self) -> dict[str, EvalPrompt]:
        return {question.id: question for question in self.questions}


def rows(
    asked: PreparedTask,
    log: list[dict[str, Any]],
    responses: dict[tuple[str, int], Response],
    config: ModelConfig,
    contaminated: set[str],
) -> list[dict[str, Any]]:
    """One row an item. `log`: the harness's own, in the questions' order; `contaminated`: ids of
    items that the training mixture overlaps with."""
    result = []
    for question, entry in zip(asked.questions, log, strict=True):
        response = responses[question.prompt, 0 if question.ranked else asked.max_new_tokens]
        result.append(
            {
                "suite": asked.suite.name,
                "task": asked.task.name,
                "id": question.id,
                "prompt_sha256": question.prompt_sha256,
                "expected": question.answer,
                **(
                    _ranked(question, entry, response)
                    if question.ranked
                    else _written(asked.judged[question.id], str(entry["filtered_resps"][0]))
                ),
                "random_score": question.random_score,
                "contaminated": question.id in contaminated,
                "exemplars": question.shown,
                "exemplars_left_out": question.dropped,
                "truncated": response.truncated,
                "unfinished": not response.ended,
                "input_tokens": response.input_tokens,
                "output_tokens": sum(response.output_tokens),
                "flops": item_flops(config, response),
            }
        )
    return result


def _ranked(question: EvalPrompt, entry: dict[str, Any], response: Response) -> dict[str, Any]:
    assert question.options is not None
    logp = [float(found[0]) for found in entry["filtered_resps"]]
    return {
        "answer": question.options[logp.index(max(logp))],
        "written": "",
        "score": float(entry["acc"]),
        "exact_match": None,
        "f1": None,
        "empty": False,
        "unanswered": False,
        "without_tokens": 0 in response.output_tokens,
    }


def _written(found: Scored, text: str) -> dict[str, Any]:
    return {
        "answer": found.answer,
        "written": text,
        "score": found.score,
        "exact_match": found.others.get("exact_match"),
        "f1": found.others.get("f1"),
        "empty": not text.strip(),
        "unanswered": bool(text.strip()) and not found.found,
        "without_tokens": False,
    }


def item_flops(config: ModelConfig, response: Response) -> int:
    """What an item cost: its prompt is read once, each answer is a pass of the decoder."""
    read = flops.forward(config, encoder_tokens=response.input_tokens, decoder_tokens=0)
    written = (
        flops.forward(config, encoder_tokens=response.input_tokens, decoder_tokens=tokens)
        for tokens in response.output_tokens
    )
    return read.encoder.total + sum(answer.decoder.total for answer in written)
