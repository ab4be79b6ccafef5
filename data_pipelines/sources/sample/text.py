"""The sample's plain text for pre-training besides the facts: words of its rule families."""

from __future__ import annotations

import random

from data_pipelines.example import stable_hash
from data_pipelines.sources.sample.lexicon import (
    BAD,
    CATEGORIES,
    COLOURS,
    GOOD,
    NAMES,
    PLACES,
    SIZES,
    THINGS,
)


def _kinds(rng: random.Random) -> str:
    kind = rng.choice(list(CATEGORIES))
    a, b = rng.sample(CATEGORIES[kind], 2)
    return f"a {a} is a kind of {kind} and a {b} is of the kind {kind}"


def _scene(rng: random.Random) -> str:
    adjective = rng.choice(rng.choice((COLOURS, SIZES)))
    thing, place, name = rng.choice(THINGS), rng.choice(PLACES), rng.choice(NAMES)
    return f"{name} took a {adjective} {thing} to the {place}. it was {adjective}"


def _opinion(rng: random.Random) -> str:
    good = rng.random() < 0.5
    a, b = rng.sample(GOOD if good else BAD, 2)
    subject = rng.choice(("film", "book", "meal"))
    word = "positive" if good else "negative"
    return f"{rng.choice(NAMES)} said the {subject} was {a} and {b}. that is {word}"


def _numbers(rng: random.Random) -> str:
    n = rng.randint(2, 5)
    return f"{' '.join(rng.sample(THINGS + NAMES, n))} are {n}"


WRITERS = (_kinds, _scene, _opinion, _numbers)


def document(seed: int, index: int) -> str:
    """Generate document `index`; the result depends on the seed and the index only."""
    rng = random.Random(stable_hash(seed, "text", index))
    return rng.choice(WRITERS)(rng)
