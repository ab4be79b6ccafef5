"""A task family of the generated sample: how to draw an item, and templates that phrase it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from data_pipelines.example import stable_fraction

RESERVED_SHARE = 0.2
"""Share of a family's contents that is reserved for evaluation."""


@dataclass(frozen=True, kw_only=True)
class SampleItem:
    """The content of one question."""

    fields: dict[str, str]
    """Values of the fields of the family's templates."""
    target: str
    options: tuple[str, ...] | None = None
    """Answer options; None for free-form answers."""
    rationale: str = ""
    """Empty except in chain-of-thought families."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A named task: `draw` generates an item, `templates` are phrasings of its question."""

    name: str
    templates: tuple[str, ...]
    draw: Callable[[random.Random], SampleItem] = field(repr=False)
    held_out: bool = False
    """Whether the family is excluded from training; all its questions are evaluation items."""


@dataclass(frozen=True, kw_only=True)
class SampleQuestion:
    """An item phrased with one of its family's templates."""

    family: str
    index: int
    template: int
    instruction: str
    item: SampleItem
    cluster: str
    """What the question is about: items of the same cluster are not independent. The family, or the
    person whose fact it asks for."""

    @property
    def options_block(self) -> str:
        """The options in FLAN's format; empty without options."""
        if self.item.options is None:
            return ""
        return "\nOPTIONS:\n" + "\n".join(f"- {option}" for option in self.item.options)


def draw_questions(family: Family, seed: int, split: str, count: int) -> Iterator[SampleQuestion]:
    """Generate questions 0 to `count` - 1 of a family and split.

    A share RESERVED_SHARE of the possible contents of a family that is not held out is reserved for
    the split `test`, so its questions are new to a model that was trained on the split `train`.
    """
    return (draw_question(family, seed, split, index) for index in range(count))


def draw_question(family: Family, seed: int, split: str, index: int) -> SampleQuestion:
    """Generate question `index` of a family and split; the result depends on the arguments only."""
    key = f"{seed}/{split}/{family.name}/{index}".encode()
    rng = random.Random(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))
    item = family.draw(rng)
    while not family.held_out and _is_reserved(family, item, seed) != (split == "test"):
        item = family.draw(rng)
    template = rng.randrange(len(family.templates))
    return SampleQuestion(
        family=family.name,
        index=index,
        template=template,
        instruction=family.templates[template].format(**item.fields),
        item=item,
        cluster=family.name,
    )


def _is_reserved(family: Family, item: SampleItem, seed: int) -> bool:
    content = (*sorted(item.fields.items()), *sorted(item.options or ()))
    return stable_fraction(seed, "reserved", family.name, content) < RESERVED_SHARE


def shuffled(rng: random.Random, values: Sequence[str]) -> tuple[str, ...]:
    """Return the values in random order."""
    return tuple(rng.sample(values, len(values)))
