"""A task family of the sample: how one item is made, and how it may be asked for."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class SampleItem:
    """One question. `fields` fill a template; `options` is None where the answer is free text."""

    fields: dict[str, str]
    target: str
    options: tuple[str, ...] | None = None
    rationale: str = ""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A named task: `make` draws an item, `templates` are the ways to ask for it."""

    name: str
    templates: tuple[str, ...]
    make: Callable[[random.Random], SampleItem] = field(repr=False)
    heldout: bool = False
    """Never trained on: its items are the evaluation."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """An item put into words by one of its family's templates."""

    family: str
    index: int
    template: int
    instruction: str
    item: SampleItem

    @property
    def options_block(self) -> str:
        """FLAN's way to show options, or nothing."""
        if self.item.options is None:
            return ""
        return "\nOPTIONS:\n" + "\n".join(f"- {option}" for option in self.item.options)


def question(family: Family, seed: int, split: str, index: int) -> Question:
    """Item `index` of a family: the same whoever asks, in whatever order."""
    key = f"{seed}/{split}/{family.name}/{index}".encode()
    rng = random.Random(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))
    item = family.make(rng)
    template = rng.randrange(len(family.templates))
    return Question(
        family=family.name,
        index=index,
        template=template,
        instruction=family.templates[template].format(**item.fields),
        item=item,
    )


def shuffled(rng: random.Random, values: Sequence[str]) -> tuple[str, ...]:
    """The values in random order."""
    return tuple(rng.sample(values, len(values)))


def others(rng: random.Random, pool: Sequence[str], taken: Sequence[str], n: int) -> list[str]:
    """`n` values of the pool that are not taken."""
    return rng.sample([value for value in pool if value not in taken], n)
