"""The sample's NIV2 families: lists, strings, extraction and comparison; definition and input."""

from __future__ import annotations

from random import Random

from data_pipelines.sources.sample.family import Family, SampleItem
from data_pipelines.sources.sample.lexicon import COLOURS, LETTERS, NAMES, PLACES, THINGS

NUMBERS = tuple(str(n) for n in range(1, 100))


def _at(rng: Random, pool: tuple[str, ...], index: int) -> SampleItem:
    values = rng.sample(pool, rng.randint(3, 4))
    return SampleItem(fields={"input": " ".join(values)}, target=values[index])


def _reverse(rng: Random) -> SampleItem:
    values = rng.sample(THINGS, rng.randint(2, 3))
    return SampleItem(fields={"input": " ".join(values)}, target=" ".join(reversed(values)))


def _copy(rng: Random) -> SampleItem:
    values = rng.sample(THINGS + NAMES + NUMBERS, rng.randint(2, 4))
    return SampleItem(fields={"input": " ".join(values)}, target=" ".join(values))


def _count(rng: Random) -> SampleItem:
    n = rng.randint(1, 5)
    return SampleItem(fields={"input": " ".join(rng.sample(THINGS, n))}, target=str(n))


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


def _next_number(rng: Random) -> SampleItem:
    start, step = rng.randint(1, 20), rng.randint(1, 3)
    values = [str(start + step * i) for i in range(5)]
    return SampleItem(fields={"input": " ".join(values[:4])}, target=values[4])


def _next_letter(rng: Random) -> SampleItem:
    start = rng.randrange(len(LETTERS) - 4)
    return SampleItem(
        fields={"input": " ".join(LETTERS[start : start + 4])}, target=LETTERS[start + 4]
    )


def _extreme(rng: Random, count: int, *, largest: bool) -> SampleItem:
    values = rng.sample(range(1, 100), count)
    target = max(values) if largest else min(values)
    return SampleItem(fields={"input": " ".join(map(str, values))}, target=str(target))


FAMILIES = (
    Family(
        name="first_word",
        templates=("Give the first word of the list.", "What is the first word of the list?"),
        draw=lambda rng: _at(rng, THINGS, 0),
    ),
    Family(
        name="last_word",
        templates=("Give the last word of the list.", "What is the last word of the list?"),
        draw=lambda rng: _at(rng, THINGS, -1),
    ),
    Family(
        name="second_word",
        templates=("Give the second word of the list.", "What is the second word of the list?"),
        draw=lambda rng: _at(rng, THINGS, 1),
    ),
    Family(
        name="first_number",
        templates=("Give the first number of the list.", "What is the first number of the list?"),
        draw=lambda rng: _at(rng, NUMBERS, 0),
    ),
    Family(
        name="last_name",
        templates=("Give the last name of the list.", "What is the last name of the list?"),
        draw=lambda rng: _at(rng, NAMES, -1),
    ),
    Family(
        name="first_name",
        held_out=True,
        templates=("Give the first name of the list.", "What is the first name of the list?"),
        draw=lambda rng: _at(rng, NAMES, 0),
    ),
    Family(
        name="reverse_list",
        templates=("Write the list in reverse order.", "Turn the list around."),
        draw=_reverse,
    ),
    Family(
        name="copy_list",
        templates=("Repeat the input.", "Write the list again as it is."),
        draw=_copy,
    ),
    Family(
        name="count_words",
        templates=("Count the words in the list.", "How many words are in the list?"),
        draw=_count,
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
    Family(
        name="next_number",
        templates=("Continue the numbers with the next one.", "Which number comes next?"),
        draw=_next_number,
    ),
    Family(
        name="next_letter",
        templates=("Continue the letters with the next one.", "Which letter comes next?"),
        draw=_next_letter,
    ),
    Family(
        name="largest_of_two",
        templates=("Give the largest number.", "Which number is the largest?"),
        draw=lambda rng: _extreme(rng, 2, largest=True),
    ),
    Family(
        name="smallest_of_two",
        templates=("Give the smallest number.", "Which number is the smallest?"),
        draw=lambda rng: _extreme(rng, 2, largest=False),
    ),
    Family(
        name="largest_of_three",
        templates=("Give the largest number.", "Which number is the largest?"),
        draw=lambda rng: _extreme(rng, 3, largest=True),
    ),
    Family(
        name="smallest_of_three",
        held_out=True,
        templates=("Give the smallest number.", "Which number is the smallest?"),
        draw=lambda rng: _extreme(rng, 3, largest=False),
    ),
)
