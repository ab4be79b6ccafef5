"""Lengths of the pieces into which pre-training texts are split, and the sentinels they need.

No token is cut: a piece is so short that its inputs and targets, each with an end-of-sequence
token, fit into a row. As in T5 (`random_spans_helper` and `split_tokens` of its preprocessors) the
length follows from the lengths of a row, the noise density and the mean span length.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from data_pipelines.params import PackParams, PretrainingObjective

MIN_PIECE_TOKENS = 2
"""The shortest pair has one token on each side."""


def count_noise(num_tokens: int, params: PackParams) -> tuple[int, int]:
    """Return how many tokens of a piece are masked, and in how many spans, as T5 does.

    There is at least one masked and one visible token, and as many visible as masked spans.

    Args:
        num_tokens: tokens of the piece, at least MIN_PIECE_TOKENS.
        params: noise density and mean span length.
    """
    num_masked = min(max(round(num_tokens * params.noise_density), 1), num_tokens - 1)
    num_spans = max(round(num_masked / params.mean_noise_span_length), 1)
    return num_masked, min(num_spans, num_masked, num_tokens - num_masked)


@cache
def max_piece_tokens(
    objective: PretrainingObjective, params: PackParams, num_sentinels: int | None = None
) -> int:
    """Return the largest number of tokens of a piece.

    Args:
        objective: span corruption fills the shorter of both sides; a piece of prefix LM fits into
            the encoder.
        params: row lengths and noise.
        num_sentinels: sentinels of the tokenizer, one per span; None for enough.
    """
    if objective == "prefix_lm":
        return params.encoder_length - 1
    num_tokens = MIN_PIECE_TOKENS
    while _fits(num_tokens + 1, params, num_sentinels):
        num_tokens += 1
    return num_tokens


def _fits(num_tokens: int, params: PackParams, num_sentinels: int | None) -> bool:
    num_masked, num_spans = count_noise(num_tokens, params)
    return (
        num_tokens - num_masked + num_spans < params.encoder_length
        and num_masked + num_spans < params.decoder_length
        and (num_sentinels is None or num_spans <= num_sentinels)
    )


def describe_sentinel_shortage(params: PackParams, num_sentinels: int) -> str | None:
    """Return a line if the published noise needs more sentinels than the tokenizer has.

    Args:
        params: row lengths and noise.
        num_sentinels: sentinels of the tokenizer.
    """
    needed_tokens = max_piece_tokens("span_corruption", params)
    num_spans = max(count_noise(n, params)[1] for n in range(MIN_PIECE_TOKENS, needed_tokens + 1))
    if num_spans <= num_sentinels:
        return None
    tokens = max_piece_tokens("span_corruption", params, num_sentinels)
    return (
        f"num_sentinels: {num_sentinels} is too few for span corruption of pieces of "
        f"{needed_tokens} tokens, which have up to {num_spans} spans; it suffices for pieces of "
        f"{tokens} tokens; set num_sentinels to at least {num_spans} (T5 has 100)"
    )


def piece_sizes(num_tokens: int, max_tokens: int) -> list[int]:
    """Split a text into the fewest consecutive pieces, equal in length up to one token.

    Equal lengths leave no remainder that is too short for a pair.

    Args:
        num_tokens: tokens of the text.
        max_tokens: largest number of tokens of a piece.
    """
    num_pieces = -(-num_tokens // max_tokens)
    bounds = [num_tokens * i // num_pieces for i in range(num_pieces + 1)] if num_pieces else []
    return [end - start for start, end in pairwise(bounds)]
