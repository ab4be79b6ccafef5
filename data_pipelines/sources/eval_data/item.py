"""The form that every evaluation item has, whatever file it comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EvalItem:
    """One question of a benchmark, or one worked example to show before questions.

    Nothing in it belongs to a prompt: how an item is asked is the evaluation suite's matter.
    """

    id: str
    text: str
    """The question as it is shown, with its passage and options."""
    answer: str
    options: tuple[str, ...] | None
    """The answers to choose from; None where the answer is written freely."""
    question: str
    """What is asked, without a passage or options."""
    context: str = ""
    """The passage, if any: training rows that hold it overlap with the item too."""
    choices: str = ""
    """Labelled options on one line, `(A) one (B) two`; empty where `text` alone shows them."""
    references: tuple[str, ...] = ()
    """Every accepted answer where there are several; the first is `answer`."""
    definition: str = ""
    """The instruction of the task that the item belongs to, worked examples included."""
    rationale: str = ""
    """What a worked example says after its question, word for word, the answer included."""
    preamble: str = ""
    """What a published prompt says before its worked examples."""
    task: str = ""
    """The task, where a file holds several; else the file's name says it."""
    group: str = ""
    """The category that the task is averaged in, where the file says so."""
