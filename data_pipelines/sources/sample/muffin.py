"""The sample's Muffin families: classification, entailment, list membership; with options."""

from __future__ import annotations

from random import Random

from data_pipelines.sources.sample.family import Family, SampleItem, sample_others, shuffled
from data_pipelines.sources.sample.lexicon import BAD, CATEGORIES, CATEGORY_OF, GOOD, NAMES, THINGS

YES_NO = ("yes", "no")


def _sentiment(rng: Random, subject: str) -> SampleItem:
    good = rng.random() < 0.5
    first, second = rng.sample(GOOD if good else BAD, 2)
    text = rng.choice(
        (
            f"the {subject} was {first} and {second}.",
            f"what a {first} {subject}, so {second}!",
            f"{rng.choice(NAMES)} said the {subject} was {first}.",
        )
    )
    return SampleItem(
        fields={"text": text},
        target="positive" if good else "negative",
        options=shuffled(rng, ("positive", "negative")),
    )


def _topic_word(rng: Random) -> SampleItem:
    topics = rng.sample(list(CATEGORIES), 3)
    return SampleItem(
        fields={"word": rng.choice(CATEGORIES[topics[0]])},
        target=topics[0],
        options=shuffled(rng, topics),
    )


def _topic_sentence(rng: Random) -> SampleItem:
    topics = rng.sample(list(CATEGORIES), 3)
    a, b = rng.sample(CATEGORIES[topics[0]], 2)
    return SampleItem(
        fields={"text": f"{rng.choice(NAMES)} wrote about a {a} and a {b}."},
        target=topics[0],
        options=shuffled(rng, topics),
    )


def _topic_pair(rng: Random) -> SampleItem:
    topics = rng.sample(list(CATEGORIES), 3)
    a, b = rng.sample(CATEGORIES[topics[0]], 2)
    return SampleItem(fields={"a": a, "b": b}, target=topics[0], options=shuffled(rng, topics))


def _entailment(rng: Random) -> SampleItem:
    thing, name = rng.choice(THINGS), rng.choice(NAMES)
    true = rng.random() < 0.5
    kind = (
        CATEGORY_OF[thing]
        if true
        else sample_others(rng, list(CATEGORIES), [CATEGORY_OF[thing]], 1)[0]
    )
    return SampleItem(
        fields={"premise": f"{name} has a {thing}.", "hypothesis": f"{name} has a kind of {kind}."},
        target="yes" if true else "no",
        options=shuffled(rng, YES_NO),
    )


def _same_person(rng: Random) -> SampleItem:
    a, b = rng.sample(NAMES, 2)
    thing = rng.choice(THINGS)
    true = rng.random() < 0.5
    return SampleItem(
        fields={"a": f"{a} has a {thing}.", "b": f"{a if true else b} has a {thing}."},
        target="yes" if true else "no",
        options=shuffled(rng, YES_NO),
    )


def _membership(rng: Random, pool: tuple[str, ...]) -> SampleItem:
    values = rng.sample(pool, 4)
    true = rng.random() < 0.5
    return SampleItem(
        fields={
            "value": rng.choice(values[:3]) if true else values[3],
            "list": " ".join(values[:3]),
        },
        target="yes" if true else "no",
        options=shuffled(rng, YES_NO),
    )


NUMBERS = tuple(str(n) for n in range(10, 100))

FAMILIES = (
    Family(
        name="sentiment_film",
        templates=(
            "Film review: {text} Is it positive or negative?",
            "What is the feeling of this film review? {text}",
            "Classify the review. {text}",
        ),
        draw=lambda rng: _sentiment(rng, "film"),
    ),
    Family(
        name="sentiment_book",
        templates=(
            "Book review: {text} Is it positive or negative?",
            "Did the reader like the book? {text}",
            "Classify the opinion. {text}",
        ),
        draw=lambda rng: _sentiment(rng, "book"),
    ),
    Family(
        name="sentiment_meal",
        held_out=True,
        templates=(
            "Restaurant review: {text} Is it positive or negative?",
            "What is the feeling of the guest? {text}",
            "Classify what was said about the meal. {text}",
        ),
        draw=lambda rng: _sentiment(rng, "meal"),
    ),
    Family(
        name="topic_word",
        templates=(
            "What kind of thing is a {word}?",
            "Choose the group of this word: {word}",
            "A {word} is a kind of what?",
        ),
        draw=_topic_word,
    ),
    Family(
        name="topic_sentence",
        templates=(
            "What is this sentence about? {text}",
            "Choose the topic of the sentence. {text}",
            "{text} What is the topic?",
        ),
        draw=_topic_sentence,
    ),
    Family(
        name="topic_pair",
        held_out=True,
        templates=(
            "What are {a} and {b}?",
            "Choose the group of these words: {a} {b}",
            "What kind of thing is a {a} and also a {b}?",
        ),
        draw=_topic_pair,
    ),
    Family(
        name="entailment",
        templates=(
            "{premise} Does it follow that {hypothesis}",
            "Premise: {premise} Hypothesis: {hypothesis} Does the premise entail it?",
            "{premise} Is it true that {hypothesis}",
        ),
        draw=_entailment,
    ),
    Family(
        name="same_statement",
        templates=(
            "Do these mean the same? {a} {b}",
            "First: {a} Second: {b} Are they equal?",
            "Is the second a copy of the first? {a} {b}",
        ),
        draw=_same_person,
    ),
    Family(
        name="word_in_list",
        templates=(
            "Is the word {value} in the list? {list}",
            "List: {list}. Does it contain the word {value}?",
            "{list}. Is {value} one of these?",
        ),
        draw=lambda rng: _membership(rng, THINGS),
    ),
    Family(
        name="name_in_list",
        templates=(
            "Is the name {value} in the list? {list}",
            "Guests: {list}. Did {value} come?",
            "{list}. Is {value} one of these people?",
        ),
        draw=lambda rng: _membership(rng, NAMES),
    ),
)
