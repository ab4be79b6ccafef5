"""The common schema of evaluation items of all formats."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

TRAINING_SPLIT = "train"
"""Split whose items are never scored; they only serve as few-shot exemplars."""


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
    """The passage, if any. A training row that shares an n-gram with it overlaps with the item."""
    choices: str = ""
    """Lettered options on one line, `(A) one (B) two`; empty if only `text` has the options."""
    option_texts: tuple[str, ...] = ()
    """Texts of lettered options, in the order of `options`; empty if only `text` has them."""
    references: tuple[str, ...] = ()
    """All accepted answers, `answer` first; if empty, only `answer` is accepted."""
    definition: str = ""
    """Instruction of the item's task."""
    exemplars: tuple[dict[str, str], ...] = ()
    """Few-shot exemplars `{text, answer}` that the item's file publishes with the task."""
    rationale: str = ""
    """Published text after an exemplar's question, answer included."""
    preamble: str = ""
    """Published text before the exemplars of a prompt."""
    task: str = ""
    """Task of the item if a file has several; otherwise the file name is the task."""
    language: str = ""
    """ISO 639-1 code of the item's language, if the data set has several; scoring reads the answer
    in its notation."""
    group: str = ""
    """Category in which the task's score is averaged; empty if the file names none."""
    cluster: str = ""
    """Id that items share if their answers are correlated: those of one passage, of one problem in
    several languages, or of one family. Comparisons count such items as one observation. Empty
    for an item of its own."""


def passage_cluster(passage: str) -> str:
    """Return a short id of a passage: equal in every task and file, whatever its white space."""
    return hashlib.sha256(" ".join(passage.split()).encode()).hexdigest()[:12]
