"""The sample's NIV2 rule families: extraction and counting; a definition and an input."""

from __future__ import annotations

from random import Random

from data_pipelines.sources.sample.family import Family, SampleItem
from data_pipelines.sources.sample.lexicon import COLOURS, NAMES, PLACES, THINGS


def _count(rng: Random, pool: tuple[str, ...]) -> SampleItem:
    n = rng.randint(2, 5)
    return SampleItem(fields={"input": " ".join(rng.sample(pool, n))}, target=str(n))


def _extract(rng: Random, field: str) -> SampleItem:
    values = {
        "name": rng.choice(NAMES),
        "number": str(rng.randint(2, 99)),
        "colour": rng.choice(COLOURS),
        "thing": rng.choice(THINGS),
        "place": rng.choice(PLACES),
    }
    text = rng.choice(
        (
            "{name} bought {number} {colour} {thing}s at the {place}.",
            "At the {place}, {name} found {number} {colour} {thing}s.",
        )
    ).format(**values)
    return SampleItem(fields={"input": text}, target=values[field])


FAMILIES = (
    Family(
        name="count_words",
        templates=("Count the words in the list.", "How many words are in the list?"),
        draw=lambda rng: _count(rng, THINGS),
    ),
    Family(
        name="count_names",
        templates=("Count the names in the list.", "How many names are in the list?"),
        draw=lambda rng: _count(rng, NAMES),
    ),
    Family(
        name="count_places",
        held_out=True,
        templates=("Count the places in the list.", "How many places are in the list?"),
        draw=lambda rng: _count(rng, PLACES),
    ),
    Family(
        name="extract_name",
        templates=("Find the name in the text.", "Which name is in the text?"),
        draw=lambda rng: _extract(rng, "name"),
    ),
    Family(
        name="extract_number",
        templates=("Find the number in the text.", "Which number is in the text?"),
        draw=lambda rng: _extract(rng, "number"),
    ),
    Family(
        name="extract_place",
        templates=("Find the place in the text.", "Which place is in the text?"),
        draw=lambda rng: _extract(rng, "place"),
    ),
    Family(
        name="extract_colour",
        held_out=True,
        templates=("Find the colour in the text.", "Which colour is in the text?"),
        draw=lambda rng: _extract(rng, "colour"),
    ),
)
