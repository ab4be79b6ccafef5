"""The form that every evaluation item has, whatever file it comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question of a benchmark; `options` is None where the answer is generated."""

    id: str
    prompt: str
    answer: str
    options: tuple[str, ...] | None
    question: str
    """What is asked, without a passage, options or the prompt's words."""
    context: str = ""
    """The passage, if any: training rows that hold it overlap with the item too."""
