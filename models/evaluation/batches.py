"""Batches of model requests, and the responses of the model to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from models.evaluation.predictor import Seq2SeqPredictor


@dataclass(frozen=True, kw_only=True)
class Request:
    """A prompt with the answers to score; without answers, the model generates one."""

    prompt: str
    answers: tuple[str, ...] = ()
    max_new_tokens: int = 0
    """Maximum number of generated tokens; 0 for requests with answers."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """The model's response to a request, with its token counts."""

    log_probs: tuple[float, ...] = ()
    """Log-probability of each answer."""
    is_greedy: tuple[bool, ...] = ()
    """Whether greedy decoding generates the answer, for each answer."""
    text: str = ""
    """Generated text."""
    num_input_tokens: int
    """Tokens of the prompt that the model read."""
    num_unknown_pieces: int
    """Unknown pieces among them: characters that the tokenizer does not know."""
    truncated: bool
    """Whether the start of the prompt was cut off."""
    num_output_tokens: tuple[int, ...]
    """Tokens of each answer, or of the generated text."""
    finished: bool = True
    """Whether a generated text ends with an end-of-sequence token."""


@dataclass(frozen=True)
class RequestBatch:
    """Requests of one kind: all score answers, or all generate up to the same length."""

    requests: tuple[Request, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the requests in their order."""
        parts = [[r.prompt, list(r.answers), r.max_new_tokens] for r in self.requests]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def make_batches(
    requests: Sequence[Request],
    num_tokens: Callable[[str], int],
    *,
    batch_size: int,
    max_batch_tokens: int,
) -> list[RequestBatch]:
    """Group requests of one kind and similar prompt length into batches.

    The longest prompts of each kind come first, so that a lack of memory shows early.

    Args:
        requests: equal requests are batched once.
        num_tokens: counts the tokens of a prompt.
        batch_size: maximum number of requests of a batch.
        max_batch_tokens: maximum number of input tokens of a batch, padding included. A batch of
            one request may exceed it.

    Returns:
        The batches, in the order in which they run.
    """
    lengths = {request.prompt: num_tokens(request.prompt) for request in requests}
    ordered = sorted(
        dict.fromkeys(requests),
        key=lambda r: (bool(r.answers), r.max_new_tokens, -lengths[r.prompt], r.prompt),
    )
    batches: list[list[Request]] = []
    for request in ordered:
        last = batches[-1] if batches else []
        fits = (
            last
            and len(last) < batch_size
            and (len(last) + 1) * lengths[last[0].prompt] <= max_batch_tokens
            and bool(last[0].answers) == bool(request.answers)
            and last[0].max_new_tokens == request.max_new_tokens
        )
        if fits:
            last.append(request)
        else:
            batches.append([request])
    return [RequestBatch(tuple(members)) for members in batches]


def run_batch(batch: RequestBatch, predictor: Seq2SeqPredictor) -> list[Response]:
    """Return the model's responses to a batch, in the order of its requests."""
    if batch.requests[0].answers:
        return _score(batch, predictor)
    max_new_tokens = batch.requests[0].max_new_tokens
    prompts = [request.prompt for request in batch.requests]
    generations = predictor.generate(prompts, max_new_tokens)
    return [
        Response(
            text=generation.text,
            num_output_tokens=(generation.num_tokens,),
            finished=generation.finished,
            **_input_size(request, predictor),
        )
        for request, generation in zip(batch.requests, generations, strict=True)
    ]


def _score(batch: RequestBatch, predictor: Seq2SeqPredictor) -> list[Response]:
    pairs = [(request.prompt, answer) for request in batch.requests for answer in request.answers]
    scores = iter(predictor.score(pairs))
    responses = []
    for request in batch.requests:
        request_scores = [next(scores) for _ in request.answers]
        responses.append(
            Response(
                log_probs=tuple(log_prob for log_prob, _ in request_scores),
                is_greedy=tuple(is_greedy for _, is_greedy in request_scores),
                num_output_tokens=tuple(
                    len(predictor.tokenizer.encode(answer)) for answer in request.answers
                ),
                **_input_size(request, predictor),
            )
        )
    return responses


class _InputSize(TypedDict):
    num_input_tokens: int
    num_unknown_pieces: int
    truncated: bool


def _input_size(request: Request, predictor: Seq2SeqPredictor) -> _InputSize:
    num_tokens = predictor.num_tokens(request.prompt)
    return {
        "num_input_tokens": min(num_tokens, predictor.max_input_tokens),
        "num_unknown_pieces": predictor.num_unknown_pieces(request.prompt),
        "truncated": num_tokens > predictor.max_input_tokens,
    }
