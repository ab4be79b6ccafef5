"""The common form of evaluation items, whatever format their file has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EvalItem:
    """One question of an evaluation suite, or one few-shot exemplar.

    Items are independent of prompts: each evaluation suite defines how its items are formatted.
    """

    id: str
    text: str
    """The question with its context and options, as published."""
    answer: str
    options: tuple[str, ...] | None
    """The answers to choose from; None for free-form answers."""
    question: str
    """The question without context and options."""
    context: str = ""
    """The passage, if any. A training row that contains it overlaps with the item."""
    choices: str = ""
    """Lettered options on one line, `(A) one (B) two`; empty if only `text` has them."""
    references: tuple[str, ...] = ()
    """All accepted answers if there are several, `answer` first."""
    definition: str = ""
    """Instruction of the item's task, few-shot exemplars included."""
    rationale: str = ""
    """Published text after an exemplar's question, answer included."""
    preamble: str = ""
    """Published text before the exemplars of a prompt."""
    task: str = ""
    """Task of the item if a file has several; otherwise the file name is the task."""
    group: str = ""
    """Category over which the task is averaged, if the file names it."""
