"""The sample's plain text for pre-training: the facts of its tasks, without instructions."""

from __future__ import annotations

import random

from data_pipelines.example import stable_hash
from data_pipelines.sources.sample.lexicon import (
    BAD,
    CATEGORIES,
    COLOURS,
    GOOD,
    LETTERS,
    NAMES,
    PLACES,
    SIZES,
    THINGS,
)


def _facts(rng: random.Random) -> str:
    kind = rng.choice(list(CATEGORIES))
    a, b, c = rng.sample(CATEGORIES[kind], 3)
    return f"a {a} is a kind of {kind}. {b} and {c} are also of the kind {kind}."


def _story(rng: random.Random) -> str:
    people, places, things = rng.sample(NAMES, 3), rng.sample(PLACES, 3), rng.sample(THINGS, 3)
    order = rng.sample(range(3), 3)
    if rng.random() < 0.5:
        statements = [f"{p} is at the {q}." for p, q in zip(people, places, strict=True)]
        restatements = [f"at the {places[i]} there is {people[i]}." for i in order]
    else:
        statements = [f"{p} has the {q}." for p, q in zip(people, things, strict=True)]
        restatements = [f"the {things[i]} is what {people[i]} has." for i in order]
    return " ".join([*statements, *restatements])


def _scene(rng: random.Random) -> str:
    values = rng.choice((COLOURS, SIZES))
    (a, b), (x, y) = rng.sample(values, 2), rng.sample(THINGS, 2)
    name = rng.choice(NAMES)
    return f"{name} saw a {a} {x} and a {b} {y}. the {y} is {b}, the {x} is {a}."


def _opinion(rng: random.Random) -> str:
    good = rng.random() < 0.5
    a, b = rng.sample(GOOD if good else BAD, 2)
    subject = rng.choice(("film", "book", "meal"))
    word = "positive" if good else "negative"
    return f"{rng.choice(NAMES)} said the {subject} was {a} and {b}. that is {word}."


def _numbers(rng: random.Random) -> str:
    start, step = rng.randint(1, 20), rng.randint(1, 3)
    return " ".join(str(start + step * i) for i in range(6))


def _letters(rng: random.Random) -> str:
    start = rng.randrange(len(LETTERS) - 6)
    return " ".join(LETTERS[start : start + 7])


def _sums(rng: random.Random) -> str:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    return f"{a} plus {b} is {a + b}. {a + b} minus {b} is {a}."


def _order(rng: random.Random) -> str:
    a, b = rng.sample(range(1, 100), 2)
    low, high = min(a, b), max(a, b)
    return f"of {a} and {b} the smallest is {low} and the largest is {high}."


def _lists(rng: random.Random) -> str:
    values = " ".join(rng.sample(THINGS + NAMES, rng.randint(3, 5)))
    return f"{values}. again: {values}."


WRITERS = (_facts, _story, _scene, _opinion, _numbers, _letters, _sums, _order, _lists)


def document(seed: int, index: int) -> str:
    """Generate document `index`; the result depends on the seed and the index only."""
    rng = random.Random(stable_hash(seed, "text", index))
    return rng.choice(WRITERS)(rng)
