"""Plain text -> (input, target) pairs for pre-training.

Span corruption: Raffel et al., arXiv 1910.10683, section 3.1.4. Prefix language modelling: the
same paper, section 3.2.3; the continuation is the target.

    text            the cat sat on the mat
    span corruption the <0> on the mat   ->  <0> cat sat
    prefix LM       the cat              ->  sat on the mat
"""

from __future__ import annotations

import random

from data_pipelines.example import stable_hash
from data_pipelines.packing.vocabulary import Vocabulary
from data_pipelines.params import PackParams

Pair = tuple[list[int], list[int]]


def pair(tokens: list[int], vocabulary: Vocabulary, params: PackParams, index: int) -> Pair | None:
    """A training pair of one text, without end marks; None if the text is too short to split."""
    tokens = tokens[: params.encoder_length - 1]
    if len(tokens) < 4:
        return None
    rng = random.Random(stable_hash(params.seed, "pretrain", index))
    if rng.random() < params.span_corruption_share and vocabulary.sentinels:
        return span_corruption(tokens, vocabulary, params, rng)
    return prefix_lm(tokens, params, rng)


def prefix_lm(tokens: list[int], params: PackParams, rng: random.Random) -> Pair:
    """Split at a random point; the target is cut to the decoder's length."""
    split = rng.randint(1, len(tokens) - 1)
    return tokens[:split], tokens[split : split + params.decoder_length - 1]


def span_corruption(
    tokens: list[int], vocabulary: Vocabulary, params: PackParams, rng: random.Random
) -> Pair:
    """Hide about `noise_density` of the tokens in spans; each leaves a sentinel behind."""
    hidden = max(1, round(len(tokens) * params.noise_density))
    spans = max(1, min(round(hidden / params.mean_noise_span_length), vocabulary.sentinels, hidden))
    # Never more spans than there are gaps for visible tokens between them.
    spans = min(spans, len(tokens) - hidden)
    lengths = _partition(hidden, spans, rng)
    gaps = _partition(len(tokens) - hidden, spans, rng)
    inputs: list[int] = []
    targets: list[int] = []
    at = 0
    for number, (gap, length) in enumerate(zip(gaps, lengths, strict=True)):
        inputs += [*tokens[at : at + gap], vocabulary.sentinel(number)]
        targets += [vocabulary.sentinel(number), *tokens[at + gap : at + gap + length]]
        at += gap + length
    inputs += tokens[at:]
    return inputs, targets[: params.decoder_length - 1]


def _partition(total: int, parts: int, rng: random.Random) -> list[int]:
    """`total` as a sum of `parts` positive numbers."""
    cuts = sorted(rng.sample(range(1, total), parts - 1))
    return [b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)]
