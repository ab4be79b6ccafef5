"""The sample's Muffin rule families: sentiment and topics, with options."""

from __future__ import annotations

from random import Random

from data_pipelines.sources.sample.family import Family, SampleItem, shuffled
from data_pipelines.sources.sample.lexicon import BAD, CATEGORIES, GOOD, NAMES


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


def _topic(rng: Random, text: str) -> SampleItem:
    topics = rng.sample(list(CATEGORIES), 3)
    a, b = rng.sample(CATEGORIES[topics[0]], 2)
    return SampleItem(
        fields={"text": text.format(name=rng.choice(NAMES), a=a, b=b)},
        target=topics[0],
        options=shuffled(rng, topics),
    )


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
            "{text} What kind of thing is that?",
            "Choose the group of this thing. {text}",
            "{text} It is a kind of what?",
        ),
        draw=lambda rng: _topic(rng, "{name} has a {a}."),
    ),
    Family(
        name="topic_sentence",
        templates=(
            "What is this sentence about? {text}",
            "Choose the topic of the sentence. {text}",
            "{text} What is the topic?",
        ),
        draw=lambda rng: _topic(rng, "{name} wrote about a {a} and a {b}."),
    ),
    Family(
        name="topic_pair",
        held_out=True,
        templates=(
            "{text} What kind of things are they?",
            "Choose the group of these things. {text}",
            "{text} They are a kind of what?",
        ),
        draw=lambda rng: _topic(rng, "{name} has a {a} and a {b}."),
    ),
)
