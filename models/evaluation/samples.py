"""Results of single items: the rows of samples.parquet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from models.config import ModelConfig
from models.cost import flops
from models.evaluation.batches import Request, Response
from models.evaluation.eval_data import EvalTask
from models.evaluation.metrics import AnswerScore, score_answer
from models.evaluation.prompts import EvalPrompt
from models.evaluation.suite import Suite


@dataclass(frozen=True, kw_only=True)
class PreparedTask:
    """A task of a suite with its prompts for one model."""

    suite: Suite
    task: EvalTask
    prompts: list[EvalPrompt]
    max_new_tokens: int
    scores: dict[str, AnswerScore] = field(default_factory=dict)
    """Item id -> score of its generated answer, filled by `process_results`."""

    @property
    def name(self) -> str:
        return self.task.name

    def requests(self) -> Iterator[Request]:
        """Yield the model request of each item, as the harness makes it."""
        for prompt in self.prompts:
            if prompt.multiple_choice and prompt.options is not None:
                answers = tuple(dict.fromkeys(option.strip() for option in prompt.options))
                yield Request(prompt=prompt.prompt, answers=answers)
            else:
                yield Request(prompt=prompt.prompt, max_new_tokens=self.max_new_tokens)

    def process_results(self, doc: dict[str, Any], results: list[str]) -> dict[str, float]:
        """Score a generated answer; the harness calls this for each item."""
        prompt = self._prompt_by_id[doc["id"]]
        answer_score = score_answer(self.suite.metric, prompt, results[0])
        self.scores[prompt.id] = answer_score
        return {self.suite.metric: answer_score.score}

    @cached_property
    def _prompt_by_id(self) -> dict[str, EvalPrompt]:
        return {prompt.id: prompt for prompt in self.prompts}


@dataclass(frozen=True, kw_only=True)
class SampleRow:
    """One item's result; the fields are the columns of samples.parquet, in this order."""

    suite: str
    task: str
    id: str
    cluster: str | None
    """Id that items of one passage, problem or family share, in every task; None for an item of its
    own."""
    prompt: str
    """Text that the model received, before its start was cut off if it is too long."""
    prompt_sha256: str
    expected: str
    answer: str
    """Chosen option, or answer extracted from the generated text."""
    generated_text: str
    score: float
    exact_match: float | None
    f1: float | None
    empty: bool
    """Whether the generated text is empty."""
    unanswered: bool
    """Whether the generated text is not empty but contains no answer, or several."""
    ambiguous: bool
    """Whether the generated text contains several answers; it is then unanswered, too."""
    without_tokens: bool
    """Whether an option has no tokens, so that its log-probability is -inf."""
    random_score: float
    contaminated: bool | None
    """Whether the training mixture overlaps with the item; None for an imported model, whose
    training data is unknown."""
    num_exemplars: int
    num_exemplars_dropped: int
    truncated: bool
    """Whether the start of the prompt was cut off."""
    unknown_pieces: bool
    """Whether the prompt has characters that the tokenizer does not know."""
    unfinished: bool
    """Whether generation stopped at the maximum length."""
    input_tokens: int
    output_tokens: int
    flops: int


def sample_rows(
    task: PreparedTask,
    harness_log: list[dict[str, Any]],
    responses: dict[tuple[str, int], Response],
    config: ModelConfig,
    contaminated: set[str] | None,
) -> list[SampleRow]:
    """Build the rows of a task.

    Args:
        task: the task, whose generated answers are scored.
        harness_log: the harness's log of each item, in the order of the prompts.
        responses: (prompt, max_new_tokens; 0 for multiple choice) -> response.
        config: the model's configuration, for its FLOPs.
        contaminated: ids of the items that overlap with the training mixture; None if unknown.

    Returns:
        One row per item, in the order of the prompts.
    """
    rows = []
    for prompt, entry in zip(task.prompts, harness_log, strict=True):
        max_new_tokens = 0 if prompt.multiple_choice else task.max_new_tokens
        response = responses[prompt.prompt, max_new_tokens]
        result = (
            _choice_result(prompt, entry, response)
            if prompt.multiple_choice
            else _generation_result(task.scores[prompt.id], str(entry["filtered_resps"][0]))
        )
        rows.append(
            SampleRow(
                suite=task.suite.name,
                task=task.name,
                id=prompt.id,
                cluster=prompt.cluster or None,
                prompt=prompt.prompt,
                prompt_sha256=prompt.prompt_sha256,
                expected=prompt.answer,
                **result,
                random_score=prompt.random_score,
                contaminated=None if contaminated is None else prompt.id in contaminated,
                num_exemplars=prompt.num_exemplars,
                num_exemplars_dropped=prompt.num_exemplars_dropped,
                truncated=response.truncated,
                unknown_pieces=response.num_unknown_pieces > 0,
                unfinished=not response.finished,
                input_tokens=response.num_input_tokens,
                output_tokens=sum(response.num_output_tokens),
                flops=item_flops(config, response),
            )
        )
    return rows


def _choice_result(prompt: EvalPrompt, entry: dict[str, Any], response: Response) -> dict[str, Any]:
    assert prompt.options is not None
    log_probs = [float(log_prob) for log_prob, *_ in entry["filtered_resps"]]
    return {
        "answer": prompt.options[log_probs.index(max(log_probs))],
        "generated_text": "",
        "score": float(entry["acc"]),
        "exact_match": None,
        "f1": None,
        "empty": False,
        "unanswered": False,
        "ambiguous": False,
        "without_tokens": 0 in response.num_output_tokens,
    }


def _generation_result(answer_score: AnswerScore, text: str) -> dict[str, Any]:
    return {
        "answer": answer_score.answer,
        "generated_text": text,
        "score": answer_score.score,
        "exact_match": answer_score.other_metrics.get("exact_match"),
        "f1": answer_score.other_metrics.get("f1"),
        "empty": not text.strip(),
        "unanswered": bool(text.strip()) and not answer_score.has_answer,
        "ambiguous": answer_score.is_ambiguous,
        "without_tokens": False,
    }


def item_flops(config: ModelConfig, response: Response) -> int:
    """Compute the FLOPs of an item: one encoder pass, one decoder pass per answer."""
    encoder = flops.forward_flops(
        config, encoder_tokens=response.num_input_tokens, decoder_tokens=0
    )
    answers = (
        flops.forward_flops(
            config, encoder_tokens=response.num_input_tokens, decoder_tokens=num_tokens
        )
        for num_tokens in response.num_output_tokens
    )
    return encoder.encoder.total + sum(answer.decoder.total for answer in answers)
