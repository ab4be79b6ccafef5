"""Pre-training objectives: convert plain text to pairs of inputs and targets.

Span corruption: Raffel et al., arXiv 1910.10683, section 3.1.4, with the mask of T5's preprocessor
`random_spans_noise_mask`. Prefix language modelling: the same paper, section 3.2.3; the target is
the continuation (T5's `random_prefix_noise_mask`).

    text             the cat sat on the mat
    span corruption  the <0> on the <1>   ->  <0> cat sat <1> mat
    prefix LM        the cat              ->  sat on the mat

A text always ends with a masked span in T5's preprocessor. Its targets therefore have no closing
sentinel, which figure 2 of the paper shows for a text that ends with visible words.
"""

from __future__ import annotations

import random

from data_pipelines.example import stable_hash
from data_pipelines.packing.piece_lengths import (
    MIN_PIECE_TOKENS,
    count_noise,
    max_piece_tokens,
    piece_sizes,
)
from data_pipelines.packing.vocabulary import Vocabulary
from data_pipelines.params import PackParams, PretrainingObjective

Pair = tuple[list[int], list[int]]
"""Input ids and target ids, without end-of-sequence tokens."""


def make_pairs(
    tokens: list[int],
    objective: PretrainingObjective,
    vocabulary: Vocabulary,
    params: PackParams,
    index: int,
) -> list[Pair]:
    """Split one text into consecutive pieces and make a training pair from each.

    Args:
        tokens: token ids of the text.
        objective: how a piece becomes a pair.
        vocabulary: source of the sentinel ids.
        params: row lengths, noise and seed.
        index: index of the text in its corpus; seeds the random choices.

    Returns:
        The pairs, in the order of the text; none if the text is too short for one.
    """
    if len(tokens) < MIN_PIECE_TOKENS:
        return []
    rng = random.Random(stable_hash(params.seed, objective, index))
    pairs, start = [], 0
    max_tokens = max_piece_tokens(objective, params, vocabulary.num_sentinels)
    for size in piece_sizes(len(tokens), max_tokens):
        piece = tokens[start : start + size]
        start += size
        if objective == "span_corruption":
            pairs.append(corrupt_spans(piece, vocabulary, params, rng))
        else:
            pairs.append(prefix_lm(piece, params, rng))
    return pairs


def prefix_lm(tokens: list[int], params: PackParams, rng: random.Random) -> Pair:
    """Split a piece at a random point into input and target.

    All splits whose target fits into the decoder and into `prefix_lm_target_share` are equally
    likely: by default, as in T5, all of them, if the decoder is as long as the encoder.

    Args:
        tokens: at least two token ids, at most `max_piece_tokens`.
        params: row lengths.
        rng: source of the split point.
    """
    max_targets = max(1, int(params.prefix_lm_target_share * len(tokens)))
    max_targets = min(max_targets, len(tokens) - 1, params.decoder_length - 1)
    split = rng.randint(len(tokens) - max_targets, len(tokens) - 1)
    return tokens[:split], tokens[split:]


def corrupt_spans(
    tokens: list[int], vocabulary: Vocabulary, params: PackParams, rng: random.Random
) -> Pair:
    """Replace random spans by sentinels; the target lists each sentinel and its span.

    Visible and masked spans alternate; the first span is visible, the last one masked.

    Args:
        tokens: at least two token ids, at most `max_piece_tokens`.
        vocabulary: source of the sentinel ids.
        params: share of masked tokens and mean span length.
        rng: source of the span positions.
    """
    num_masked, num_spans = count_noise(len(tokens), params)
    span_lengths = _random_partition(num_masked, num_spans, rng)
    gap_lengths = _random_partition(len(tokens) - num_masked, num_spans, rng)
    inputs: list[int] = []
    targets: list[int] = []
    start = 0
    for number, (gap, length) in enumerate(zip(gap_lengths, span_lengths, strict=True)):
        sentinel = vocabulary.sentinel_id(number)
        inputs += [*tokens[start : start + gap], sentinel]
        targets += [sentinel, *tokens[start + gap : start + gap + length]]
        start += gap + length
    return inputs, targets


def _random_partition(total: int, num_parts: int, rng: random.Random) -> list[int]:
    """Split `total` into `num_parts` random positive integers."""
    cuts = sorted(rng.sample(range(1, total), num_parts - 1))
    return [b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)]
