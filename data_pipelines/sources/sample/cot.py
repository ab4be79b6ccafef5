"""The sample's chain-of-thought rule families: short stories with a rationale."""

from __future__ import annotations

from random import Random

from data_pipelines.sources.sample.family import Family, SampleItem
from data_pipelines.sources.sample.lexicon import BAD, CATEGORIES, GOOD, NAMES


def _kind(rng: Random) -> SampleItem:
    kind = rng.choice(list(CATEGORIES))
    a, b = rng.sample(CATEGORIES[kind], 2)
    return SampleItem(
        fields={"name": rng.choice(NAMES), "a": a, "b": b},
        target=kind,
        rationale=f"a {a} is a kind of {kind}.",
    )


def _opinion(rng: Random) -> SampleItem:
    good = rng.random() < 0.5
    first, second = rng.sample(GOOD if good else BAD, 2)
    word = "positive" if good else "negative"
    return SampleItem(
        fields={"name": rng.choice(NAMES), "first": first, "second": second},
        target=word,
        rationale=f"{first} is {word}.",
    )


FAMILIES = (
    Family(
        name="kind_story",
        templates=(
            "{name} has a {a}. What kind of thing is it?",
            "{name} saw a {a}. It is a kind of what?",
            "Which kind of thing does {name} have with a {a}?",
        ),
        draw=_kind,
    ),
    Family(
        name="opinion_story",
        templates=(
            "{name} said the film was {first} and {second}. Was that positive or negative?",
            "Is it positive or negative when {name} calls the film {first} and {second}?",
            "The film was {first} and {second}, said {name}. Did {name} like it?",
        ),
        draw=_opinion,
    ),
    Family(
        name="pair_story",
        held_out=True,
        templates=(
            "{name} has a {a} and a {b}. What kind of things are they?",
            "{name} saw a {a} and a {b}. They are a kind of what?",
            "Which kind of things does {name} have with a {a} and a {b}?",
        ),
        draw=_kind,
    ),
)
