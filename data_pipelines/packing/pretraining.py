"""Pre-training objectives: convert plain text to pairs of inputs and targets.

Span corruption: Raffel et al., arXiv 1910.10683, section 3.1.4. Prefix language modelling: the
same paper, section 3.2.3; the target is the continuation.

    text             the cat sat on the mat
    span corruption  the <0> on the mat   ->  <0> cat sat
    prefix LM        the cat              ->  sat on the mat
"""

from __future__ import annotations

import random

from data_pipelines.example import stable_hash
from data_pipelines.packing.vocabulary import Vocabulary
from data_pipelines.params import PackParams

Pair = tuple[list[int], list[int]]
"""Input ids and target ids, without end-of-sequence tokens."""
MIN_TOKENS = 4


def make_pair(
    tokens: list[int], vocabulary: Vocabulary, params: PackParams, index: int
) -> Pair | None:
    """Make a training pair from one text by span corruption or prefix LM, chosen at random.

    Args:
        tokens: token ids of the text; truncated to the encoder's length.
        vocabulary: source of the sentinel ids.
        params: objective, lengths and seed.
        index: index of the text in its corpus; seeds the random choices.

    Returns:
        The pair; None if the text has fewer than MIN_TOKENS tokens.
    """
    tokens = tokens[: params.encoder_length - 1]
    if len(tokens) < MIN_TOKENS:
        return None
    rng = random.Random(stable_hash(params.seed, "pretrain", index))
    if rng.random() < params.span_corruption_share and vocabulary.num_sentinels:
        return corrupt_spans(tokens, vocabulary, params, rng)
    return prefix_lm(tokens, params, rng)


def prefix_lm(tokens: list[int], params: PackParams, rng: random.Random) -> Pair:
    """Split the text at a random point into input and target.

    Args:
        tokens: at least two token ids.
        params: the target is truncated to `decoder_length`, with space for the EOS token.
        rng: source of the split point.
    """
    split = rng.randint(1, len(tokens) - 1)
    return tokens[:split], tokens[split : split + params.decoder_length - 1]


def corrupt_spans(
    tokens: list[int], vocabulary: Vocabulary, params: PackParams, rng: random.Random
) -> Pair:
    """Replace random spans by sentinels; the target lists each sentinel and its span.

    The target does not end with a further sentinel as in T5.

    Args:
        tokens: at least MIN_TOKENS token ids.
        vocabulary: source of the sentinel ids; its number of sentinels limits the spans.
        params: share of masked tokens and mean span length; the target is truncated to
            `decoder_length`, with space for the EOS token.
        rng: source of the span positions.
    """
    num_masked = max(1, round(len(tokens) * params.noise_density))
    num_spans = round(num_masked / params.mean_noise_span_length)
    num_spans = max(1, min(num_spans, vocabulary.num_sentinels, num_masked))
    # Each span needs at least one visible token before it.
    num_spans = min(num_spans, len(tokens) - num_masked)
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
    inputs += tokens[start:]
    return inputs, targets[: params.decoder_length - 1]


def _random_partition(total: int, num_parts: int, rng: random.Random) -> list[int]:
    """Split `total` into `num_parts` random positive integers."""
    cuts = sorted(rng.sample(range(1, total), num_parts - 1))
    return [b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)]
