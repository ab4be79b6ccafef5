"""Requests put together into batches, and what is known of each after it was run_batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from models.evaluation.predictor import Seq2SeqPredictor


@dataclass(frozen=True, kw_only=True)
class Request:
    """A prompt, with the answers to rank; none: the model writes."""

    prompt: str
    answers: tuple[str, ...] = ()
    max_new_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Response:
    """What the model made of a request, and the work it was."""

    logp: tuple[float, ...] = ()
    """Log-probability of each answer."""
    greedy: tuple[bool, ...] = ()
    """Whether the model would have written it."""
    text: str = ""
    input_tokens: int
    truncated: bool
    """Whether the prompt lost its start."""
    output_tokens: tuple[int, ...]
    """Of each answer, or of the text written."""
    ended: bool = True
    """Whether a written text came to an end by itself."""


@dataclass(frozen=True)
class Batch:
    """Requests that are run_batches together; all rank, or all write up to the same length."""

    requests: tuple[Request, ...]

    @property
    def digest(self) -> str:
        """Names exactly these requests in this order."""
        parts = [[r.prompt, list(r.answers), r.max_new_tokens] for r in self.requests]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def batches(
    requests: Sequence[Request], length: Callable[[str], int], *, items: int, tokens: int
) -> list[Batch]:
    """Like lengths together, the longest first: what does not fit in memory fails at once.

    At most `items` requests and `tokens` padded input tokens each, but always one request.
    """
    lengths = {request.prompt: length(request.prompt) for request in requests}
    # Equal requests are run_batches once.
    ordered = sorted(
        dict.fromkeys(requests),
        key=lambda r: (bool(r.answers), r.max_new_tokens, -lengths[r.prompt], r.prompt),
    )
    result: list[list[Request]] = []
    for request in ordered:
        last = result[-1] if result else []
        fits = (
            last
            and len(last) < items
            and (len(last) + 1) * lengths[last[0].prompt] <= tokens
            and bool(last[0].answers) == bool(request.answers)
            and last[0].max_new_tokens == request.max_new_tokens
        )
        if fits:
            last.append(request)
        else:
            result.append([request])
    return [Batch(tuple(members)) for members in result]


def answer(batch: Batch, answerer: Seq2SeqPredictor) -> list[Response]:
    """The responses of a batch, in the order of its requests."""
    if batch.requests[0].answers:
        return _ranked(batch, answerer)
    limit = batch.requests[0].max_new_tokens
    written = answerer.generate([request.prompt for request in batch.requests], limit)
    return [
        Response(
            text=answer.text,
            output_tokens=(answer.tokens,),
            ended=answer.ended,
            **_read(request, answerer),
        )
        for request, answer in zip(batch.requests, written, strict=True)
    ]


def _ranked(batch: Batch, answerer: Seq2SeqPredictor) -> list[Response]:
    pairs = [(request.prompt, text) for request in batch.requests for text in request.answers]
    scores = iter(answerer.score(pairs))
    responses = []
    for request in batch.requests:
        found = [next(scores) for _ in request.answers]
        responses.append(
            Response(
                logp=tuple(logp for logp, _ in found),
                greedy=tuple(greedy for _, greedy in found),
                output_tokens=tuple(len(answerer.tokens(text)) for text in request.answers),
                **_read(request, answerer),
            )
        )
    return responses


def _read(request: Request, answerer: Seq2SeqPredictor) -> dict[str, Any]:
    """How much of its prompt the model read."""
    length = answerer.length(request.prompt)
    return {
        "input_tokens": min(length, answerer.max_input),
        "truncated": length > answerer.max_input,
    }
