"""The sample's T0-SF rule families: questions about a short text."""

from __future__ import annotations

from random import Random

from data_pipelines.sources.sample.family import Family, SampleItem
from data_pipelines.sources.sample.lexicon import COLOURS, NAMES, PLACES, SIZES, THINGS


def _story(rng: Random, answer: str, adjectives: tuple[str, ...] = COLOURS) -> SampleItem:
    values = {
        "name": rng.choice(NAMES),
        "adjective": rng.choice(adjectives),
        "thing": rng.choice(THINGS),
        "place": rng.choice(PLACES),
    }
    text = rng.choice(
        (
            "{name} took a {adjective} {thing} to the {place}.",
            "At the {place} {name} saw a {adjective} {thing}.",
        )
    )
    return SampleItem(fields={"story": text.format(**values)}, target=values[answer])


FAMILIES = (
    Family(
        name="qa_who",
        templates=(
            "{story} Who was it?",
            "Read and answer. {story} Who was there?",
            "Who was there? {story}",
        ),
        draw=lambda rng: _story(rng, "name"),
    ),
    Family(
        name="qa_where",
        templates=(
            "{story} Where was it?",
            "Read and answer. {story} Where was it?",
            "Where was it? {story}",
        ),
        draw=lambda rng: _story(rng, "place"),
    ),
    Family(
        name="qa_thing",
        templates=(
            "{story} Which thing was it?",
            "Read and answer. {story} Which thing is in the text?",
            "Which thing is in the text? {story}",
        ),
        draw=lambda rng: _story(rng, "thing"),
    ),
    Family(
        name="qa_what",
        held_out=True,
        templates=(
            "{story} What was it?",
            "Read and answer. {story} What is in the text?",
            "What was there? {story}",
        ),
        draw=lambda rng: _story(rng, "thing"),
    ),
    Family(
        name="colour_of",
        templates=(
            "{story} What colour was it?",
            "What is the colour of the thing? {story}",
            "Read and answer. {story} What colour is in the text?",
        ),
        draw=lambda rng: _story(rng, "adjective"),
    ),
    Family(
        name="size_of",
        held_out=True,
        templates=(
            "{story} What size was it?",
            "What is the size of the thing? {story}",
            "Read and answer. {story} What size is in the text?",
        ),
        draw=lambda rng: _story(rng, "adjective", SIZES),
    ),
)
