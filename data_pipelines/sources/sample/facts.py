"""The facts of the generated sample: people, each with a city, a job, a possession and a language.

The number of facts follows from the size of the dense model. A fact is one of 48 values, so it has
log2(48) = 5.6 bits, and a person has four facts:

    people = facts_bits_per_parameter * model_parameters / (4 * log2(48))

Instructions ask about the share TRAINED_SHARE of the people. The facts of the others stand in the
pre-training text only; the knowledge suites ask for them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from data_pipelines.errors import SourceError
from data_pipelines.example import stable_hash
from data_pipelines.params import SampleParams
from data_pipelines.sources.sample.lexicon import (
    CITIES,
    FIRST_NAMES,
    JOBS,
    LANGUAGES,
    SURNAMES,
    THINGS,
)

TRAINED_SHARE = 0.7
"""Share of the people whose facts the instructions ask for."""


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """A property of every person."""

    noun: str
    values: tuple[str, ...]
    statements: tuple[str, ...]
    """Phrasings of a fact in the pre-training text. The value is the last word, so that prefix
    language modelling predicts it from the rest."""
    question: str


ATTRIBUTES = (
    Attribute(
        noun="city",
        values=CITIES,
        statements=(
            "{name} lives in {value}",
            "the city of {name} is {value}",
            "the home of {name} is in {value}",
        ),
        question="Where does {name} live?",
    ),
    Attribute(
        noun="job",
        values=JOBS,
        statements=(
            "{name} works as {value}",
            "the job of {name} is {value}",
            "every day {name} works as {value}",
        ),
        question="What work does {name} do?",
    ),
    Attribute(
        noun="possession",
        values=THINGS,
        statements=(
            "{name} owns the {value}",
            "the possession of {name} is the {value}",
            "at home {name} has the {value}",
        ),
        question="What does {name} own?",
    ),
    Attribute(
        noun="language",
        values=LANGUAGES,
        statements=(
            "{name} speaks {value}",
            "the language of {name} is {value}",
            "at home {name} talks in {value}",
        ),
        question="What does {name} speak?",
    ),
)
BITS_PER_PERSON = sum(math.log2(len(attribute.values)) for attribute in ATTRIBUTES)
MAX_PEOPLE = len(FIRST_NAMES) * len(SURNAMES)


@dataclass(frozen=True, kw_only=True)
class Person:
    """A generated person."""

    name: str
    """First name and surname."""
    is_trained: bool
    """Whether instructions ask about the person; otherwise only text and evaluation items do."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """The value of an attribute of a person."""

    person: Person
    attribute: Attribute
    value: str

    @property
    def statements(self) -> list[str]:
        """The fact in all phrasings of its attribute."""
        return [
            statement.format(name=self.person.name, value=self.value)
            for statement in self.attribute.statements
        ]


def count_people(params: SampleParams) -> int:
    """Return the number of people, at least two, whose facts have the configured entropy.

    Raises:
        SourceError: there are fewer names than people.
    """
    bits = params.facts_bits_per_parameter * params.model_parameters
    num_people = max(2, round(bits / BITS_PER_PERSON))
    if num_people > MAX_PEOPLE:
        raise SourceError(
            f"data_pipelines.fetch.sample.facts_bits_per_parameter: "
            f"{params.facts_bits_per_parameter} needs {num_people} people for "
            f"{params.model_parameters} parameters, more than the {MAX_PEOPLE} names; lower it"
        )
    return num_people


def describe_facts(params: SampleParams) -> str:
    """Return one line on the number and entropy of the facts."""
    num_people = count_people(params)
    return (
        f"{num_people} people with {len(ATTRIBUTES)} facts each, "
        f"{num_people * BITS_PER_PERSON / 1000:.1f} kbit: {params.facts_bits_per_parameter:g} bits "
        f"for each of {params.model_parameters} parameters"
    )


def make_people(params: SampleParams) -> list[Person]:
    """Generate the people; of any number of them at least one is asked about and one is not."""
    rng = random.Random(stable_hash(params.seed, "people"))
    num_people = count_people(params)
    num_trained = min(max(1, round(TRAINED_SHARE * num_people)), num_people - 1)
    pairs = rng.sample(range(MAX_PEOPLE), num_people)
    return [
        Person(
            name=f"{FIRST_NAMES[pair % len(FIRST_NAMES)]} {SURNAMES[pair // len(FIRST_NAMES)]}",
            is_trained=number < num_trained,
        )
        for number, pair in enumerate(pairs)
    ]


def make_facts(params: SampleParams) -> Iterator[Fact]:
    """Generate the facts of all people; a value depends on the seed, name and attribute only."""
    for person in make_people(params):
        for attribute in ATTRIBUTES:
            rng = random.Random(stable_hash(params.seed, "fact", person.name, attribute.noun))
            yield Fact(person=person, attribute=attribute, value=rng.choice(attribute.values))
