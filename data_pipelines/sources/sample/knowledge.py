"""The sample's knowledge families: closed-book questions for the facts of the pre-training text.

Each mixture has a family for every attribute. Its questions have one of several forms, which the
mixture's families share. Family number i is not trained on form i. The suite `sample_knowledge`
asks in the forms that the family is trained on, `sample_new_forms` in the other one, whose words
the other families know. Both ask about people whom no instruction names.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_pipelines.example import stable_hash
from data_pipelines.params import MIXTURES, Mixture
from data_pipelines.sources.sample.facts import ATTRIBUTES, Attribute, Fact
from data_pipelines.sources.sample.family import SampleItem, SampleQuestion

QUESTION_FORMS = (
    "What is the {noun} of {name}?",
    "Which {noun} is that of {name}?",
    "{name} has which {noun}?",
    "Say the {noun} of {name}.",
    "{question}",
)
FORMS: dict[Mixture, tuple[str, ...]] = {
    "muffin": QUESTION_FORMS,
    "t0_sf": (
        "Name the {noun} of {name}.",
        "Tell me the {noun} of {name}.",
        "{name}: which {noun}?",
        "Give the {noun} that {name} has.",
    ),
    # Definitions of a task; the input is the name.
    "niv2": (
        "Give the {noun} of the person.",
        "Find the {noun} of the person.",
        "Which {noun} does the person have?",
        "Write the {noun} of the person.",
    ),
    "cot": QUESTION_FORMS,
}


@dataclass(frozen=True, kw_only=True)
class KnowledgeFamily:
    """The questions of a mixture for an attribute."""

    mixture: Mixture
    attribute: Attribute

    @property
    def name(self) -> str:
        return f"{self.attribute.noun}_{self.mixture}"

    @property
    def known_forms(self) -> tuple[str, ...]:
        """The forms of the instructions, with the field `{name}`."""
        forms = self._forms()
        new = ATTRIBUTES.index(self.attribute)
        return (*forms[:new], *forms[new + 1 :])

    @property
    def new_form(self) -> str:
        """The form in which only `sample_new_forms` asks."""
        return self._forms()[ATTRIBUTES.index(self.attribute)]

    def _forms(self) -> tuple[str, ...]:
        fields = {"noun": self.attribute.noun, "question": self.attribute.question}
        return tuple(form.format(name="{name}", **fields) for form in FORMS[self.mixture])


FAMILIES = tuple(
    KnowledgeFamily(mixture=mixture, attribute=attribute)
    for mixture in MIXTURES
    for attribute in ATTRIBUTES
)


def draw_training(
    family: KnowledgeFamily, facts: Sequence[Fact], seed: int
) -> Iterator[SampleQuestion]:
    """Ask for the fact of each person that instructions name, in a random known form."""
    own = [f for f in facts if f.attribute is family.attribute and f.person.is_trained]
    for index, fact in enumerate(own):
        rng = random.Random(stable_hash(seed, "train", family.name, fact.person.name))
        yield _ask(family, fact, family.known_forms, rng, index)


def draw_held_out(
    family: KnowledgeFamily, facts: Sequence[Fact], seed: int, count: int, *, new_form: bool
) -> Iterator[SampleQuestion]:
    """Ask for the facts of people whom no instruction names.

    The mixtures ask about different people, so that no question occurs twice in a suite.

    Args:
        family: the family.
        facts: all facts.
        seed: seed of the choice of people and forms.
        count: largest number of questions.
        new_form: ask in the family's new form instead of a known one.
    """
    own = [f for f in facts if f.attribute is family.attribute and not f.person.is_trained]
    random.Random(stable_hash(seed, "test", family.attribute.noun)).shuffle(own)
    own = own[MIXTURES.index(family.mixture) :: len(MIXTURES)]
    rng = random.Random(stable_hash(seed, "test", family.name, new_form))
    forms = (family.new_form,) if new_form else family.known_forms
    for index, fact in enumerate(own[:count]):
        yield _ask(family, fact, forms, rng, index)


def _ask(
    family: KnowledgeFamily, fact: Fact, forms: tuple[str, ...], rng: random.Random, index: int
) -> SampleQuestion:
    number = rng.randrange(len(forms))
    name = fact.person.name
    return SampleQuestion(
        family=family.name,
        index=index,
        template=number,
        instruction=forms[number].format(name=name),
        item=SampleItem(
            fields={"input": name}, target=fact.value, rationale=f"{fact.statements[0]}."
        ),
        cluster=name,
    )
