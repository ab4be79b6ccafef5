"""Problems with prompts and answers, which the evaluation record counts and the terminal shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

PROBLEMS = {
    "truncated": "prompts cut at their start",
    "unknown_pieces": "prompts with characters that the tokenizer does not know",
    "unfinished": "answers cut at the maximum length",
    "empty": "answers empty",
    "unanswered": "texts without a single answer of the expected form",
    "ambiguous": "texts with several answers, so that none of them counts",
    "without_tokens": "items with an option without tokens, which no model can choose",
}
"""Flag of a sample row -> what it means; the record counts each flag."""


class CountedTask(Protocol):
    """A task of an evaluation record, as the stage writes it or as the registry reads it."""

    @property
    def suite(self) -> str: ...
    @property
    def num_items(self) -> int: ...
    @property
    def num_exemplars(self) -> int | None: ...
    @property
    def num_exemplars_dropped(self) -> int: ...
    @property
    def counts(self) -> Mapping[str, int]: ...


def problem_lines(tasks: Sequence[CountedTask]) -> Iterator[str]:
    """Yield one line for each suite with problems, with the number of prompts and answers affected.

    Args:
        tasks: the tasks of all suites.
    """
    for suite in dict.fromkeys(task.suite for task in tasks):
        members = [task for task in tasks if task.suite == suite]
        num_items = sum(task.num_items for task in members)
        num_dropped = sum(task.num_exemplars_dropped for task in members)
        problems = []
        if num_dropped:
            # Records of release 0.1.0 do not have the number of exemplars.
            shown = [task.num_exemplars for task in members if task.num_exemplars is not None]
            total = f"of {num_dropped + sum(shown):,} " if len(shown) == len(members) else ""
            problems.append(f"{num_dropped:,} {total}few-shot exemplars dropped")
        for flag, meaning in PROBLEMS.items():
            count = sum(task.counts.get(flag, 0) for task in members)
            if count:
                problems.append(f"{count:,} of {num_items:,} {meaning}")
        if problems:
            yield f"{suite}: {'; '.join(problems)}"
