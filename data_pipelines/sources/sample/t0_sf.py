"""The sample's T0-SF families: questions about a short text, and choices among words."""

from __future__ import annotations

from random import Random

from data_pipelines.sources.sample.family import Family, SampleItem, sample_others, shuffled
from data_pipelines.sources.sample.lexicon import CATEGORIES, COLOURS, NAMES, PLACES, SIZES, THINGS


def _where_story(rng: Random) -> tuple[str, list[str], list[str]]:
    people, places = rng.sample(NAMES, 3), rng.sample(PLACES, 3)
    story = " ".join(f"{p} is at the {q}." for p, q in zip(people, places, strict=True))
    return story, people, places


def _who(rng: Random) -> SampleItem:
    story, people, places = _where_story(rng)
    i = rng.randrange(3)
    return SampleItem(
        fields={"story": story, "place": places[i]},
        target=people[i],
        options=shuffled(rng, people),
    )


def _where(rng: Random) -> SampleItem:
    story, people, places = _where_story(rng)
    i = rng.randrange(3)
    return SampleItem(
        fields={"story": story, "name": people[i]},
        target=places[i],
        options=shuffled(rng, places),
    )


def _what(rng: Random) -> SampleItem:
    people, things = rng.sample(NAMES, 3), rng.sample(THINGS, 3)
    story = " ".join(f"{p} has the {q}." for p, q in zip(people, things, strict=True))
    i = rng.randrange(3)
    return SampleItem(
        fields={"story": story, "name": people[i]},
        target=things[i],
        options=shuffled(rng, things),
    )


def _owner(rng: Random) -> SampleItem:
    people, things = rng.sample(NAMES, 3), rng.sample(THINGS, 3)
    story = " ".join(f"{p} has the {q}." for p, q in zip(people, things, strict=True))
    i = rng.randrange(3)
    return SampleItem(
        fields={"story": story, "thing": things[i]},
        target=people[i],
        options=shuffled(rng, people),
    )


def _property(rng: Random, values: tuple[str, ...]) -> SampleItem:
    (a, b), (x, y) = rng.sample(values, 2), rng.sample(THINGS, 2)
    first = rng.random() < 0.5
    return SampleItem(
        fields={
            "story": f"{rng.choice(NAMES)} saw a {a} {x} and a {b} {y}.",
            "thing": x if first else y,
        },
        target=a if first else b,
    )


def _pick_category(rng: Random) -> SampleItem:
    topics = rng.sample(list(CATEGORIES), 4)
    words = [rng.choice(CATEGORIES[topic]) for topic in topics]
    return SampleItem(fields={"kind": topics[0]}, target=words[0], options=shuffled(rng, words))


def _odd_word(rng: Random) -> SampleItem:
    topic, other = rng.sample(list(CATEGORIES), 2)
    words = [*rng.sample(CATEGORIES[topic], 3), rng.choice(CATEGORIES[other])]
    order = shuffled(rng, words)
    return SampleItem(fields={"words": " ".join(order)}, target=words[3], options=order)


def _mentioned(rng: Random) -> SampleItem:
    thing, place = rng.choice(THINGS), rng.choice(PLACES)
    options = shuffled(rng, [thing, *sample_others(rng, THINGS, [thing], 2)])
    return SampleItem(
        fields={"story": f"{rng.choice(NAMES)} took a {thing} to the {place}."},
        target=thing,
        options=options,
    )


FAMILIES = (
    Family(
        name="qa_who",
        templates=(
            "{story} Who is at the {place}?",
            "Read and answer. {story} Who is at the {place}?",
            "Who is at the {place}? {story}",
        ),
        draw=_who,
    ),
    Family(
        name="qa_where",
        templates=(
            "{story} Where is {name}?",
            "Read and answer. {story} Where is {name}?",
            "Where is {name}? {story}",
        ),
        draw=_where,
    ),
    Family(
        name="qa_owner",
        templates=(
            "{story} Who has the {thing}?",
            "Read and answer. {story} Who has the {thing}?",
            "Who has the {thing}? {story}",
        ),
        draw=_owner,
    ),
    Family(
        name="qa_what",
        held_out=True,
        templates=(
            "{story} What does {name} have?",
            "Read and answer. {story} What does {name} have?",
            "What does {name} have? {story}",
        ),
        draw=_what,
    ),
    Family(
        name="colour_of",
        templates=(
            "{story} What colour is the {thing}?",
            "What is the colour of the {thing}? {story}",
            "Read and answer. {story} The {thing} is of which colour?",
        ),
        draw=lambda rng: _property(rng, COLOURS),
    ),
    Family(
        name="size_of",
        held_out=True,
        templates=(
            "{story} What size is the {thing}?",
            "What is the size of the {thing}? {story}",
            "Read and answer. {story} The {thing} is of which size?",
        ),
        draw=lambda rng: _property(rng, SIZES),
    ),
    Family(
        name="pick_category",
        templates=(
            "Which of these is a kind of {kind}?",
            "Choose the {kind}.",
            "One of these words is a {kind}. Which one?",
        ),
        draw=_pick_category,
    ),
    Family(
        name="odd_one_out",
        templates=(
            "Which word does not belong? {words}",
            "Find the word of another kind: {words}",
            "{words}. Which is the odd one?",
        ),
        draw=_odd_word,
    ),
    Family(
        name="mentioned",
        templates=(
            "{story} Which thing is in the text?",
            "Which of these does the text name? {story}",
            "Read and answer. {story} What was taken?",
        ),
        draw=_mentioned,
    ),
)
