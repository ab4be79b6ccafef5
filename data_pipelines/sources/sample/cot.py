"""The sample's chain-of-thought families: word problems with a rationale."""

from __future__ import annotations

from random import Random

from data_pipelines.sources.sample.family import Family, SampleItem
from data_pipelines.sources.sample.lexicon import NAMES, THINGS


def _add(rng: Random) -> SampleItem:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    return SampleItem(
        fields={"name": rng.choice(NAMES), "thing": rng.choice(THINGS), "a": str(a), "b": str(b)},
        target=str(a + b),
        rationale=f"{a} plus {b} is {a + b}.",
    )


def _subtract(rng: Random) -> SampleItem:
    a = rng.randint(3, 18)
    b = rng.randint(1, min(a - 1, 9))
    return SampleItem(
        fields={"name": rng.choice(NAMES), "thing": rng.choice(THINGS), "a": str(a), "b": str(b)},
        target=str(a - b),
        rationale=f"{a} minus {b} is {a - b}.",
    )


def _double(rng: Random) -> SampleItem:
    a = rng.randint(1, 20)
    return SampleItem(
        fields={"name": rng.choice(NAMES), "thing": rng.choice(THINGS), "a": str(a)},
        target=str(2 * a),
        rationale=f"two times {a} is {2 * a}.",
    )


def _compare(rng: Random) -> SampleItem:
    (p, q), (a, b) = rng.sample(NAMES, 2), rng.sample(range(5, 90), 2)
    older = p if a > b else q
    return SampleItem(
        fields={"p": p, "q": q, "a": str(a), "b": str(b)},
        target=older,
        rationale=f"{max(a, b)} is more than {min(a, b)}.",
    )


def _combine(rng: Random) -> SampleItem:
    (p, q), a, b = rng.sample(NAMES, 2), rng.randint(1, 9), rng.randint(1, 9)
    return SampleItem(
        fields={"p": p, "q": q, "thing": rng.choice(THINGS), "a": str(a), "b": str(b)},
        target=str(a + b),
        rationale=f"{a} plus {b} is {a + b}.",
    )


FAMILIES = (
    Family(
        name="add_story",
        templates=(
            "{name} has {a} {thing}s and gets {b} more. How many {thing}s are there?",
            "There were {a} {thing}s. {name} added {b} more. How many are there now?",
            "How many {thing}s does {name} have after getting {b} more than the first {a}?",
        ),
        draw=_add,
    ),
    Family(
        name="subtract_story",
        templates=(
            "{name} has {a} {thing}s and loses {b}. How many {thing}s are left?",
            "There were {a} {thing}s. {name} took away {b}. How many are left?",
            "How many {thing}s are left when {name} gives away {b} of {a}?",
        ),
        draw=_subtract,
    ),
    Family(
        name="double_story",
        templates=(
            "{name} has {a} {thing}s and gets as many again. How many are there?",
            "{name} had {a} {thing}s and now has two times as many. How many is that?",
            "What is two times {a} {thing}s?",
        ),
        draw=_double,
    ),
    Family(
        name="older_story",
        templates=(
            "{p} is {a} years old and {q} is {b} years old. Who is older?",
            "Who is older, {p} with {a} years or {q} with {b} years?",
            "{p} is {a}. {q} is {b}. Which of them is older?",
        ),
        draw=_compare,
    ),
    Family(
        name="combine_story",
        held_out=True,
        templates=(
            "{p} has {a} {thing}s and {q} has {b} more. How many {thing}s are there?",
            "{p} found {a} {thing}s. {q} added {b}. How many do they have?",
            "How many {thing}s do {p} and {q} have with {a} and {b}?",
        ),
        draw=_combine,
    ),
)
