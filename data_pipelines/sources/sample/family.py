"""A task family of the generated sample: how to draw an item, and templates that phrase it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


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
    """Whether the family is excluded from training; its items are then the evaluation items."""


@dataclass(frozen=True, kw_only=True)
class SampleQuestion:
    """An item phrased with one of its family's templates."""

    family: str
    index: int
    template: int
    instruction: str
    item: SampleItem

    @property
    def options_block(self) -> str:
        """The options in FLAN's format; empty without options."""
        if self.item.options is None:
            return ""
        return "\nOPTIONS:\n" + "\n".join(f"- {option}" for option in self.item.options)


def draw_question(family: Family, seed: int, split: str, index: int) -> SampleQuestion:
    """Generate question `index` of a family and split; the result depends on the arguments only."""
    key = f"{seed}/{split}/{family.name}/{index}".encode()
    rng = random.Random(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))
    item = family.draw(rng)
    template = rng.randrange(len(family.templates))
    return SampleQuestion(
        family=family.name,
        index=index,
        template=template,
        instruction=family.templates[template].format(**item.fields),
        item=item,
    )


def shuffled(rng: random.Random, values: Sequence[str]) -> tuple[str, ...]:
    """Return the values in random order."""
    return tuple(rng.sample(values, len(values)))


def sample_others(
    rng: random.Random, pool: Sequence[str], excluded: Sequence[str], n: int
) -> list[str]:
    """Draw `n` different values of the pool that are not excluded."""
    return rng.sample([value for value in pool if value not in excluded], n)
