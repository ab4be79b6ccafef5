"""From an item to the prompt a model reads: preamble, worked examples, question."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models.evaluation.eval_data import EvalTask
from models.evaluation.suite import Suite

BREAK = "\n\n"
"""Between the parts of a prompt. Tokenizing part by part relies on it."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """An item as it is asked of one model."""

    id: str
    prompt: str
    answer: str
    references: tuple[str, ...]
    options: tuple[str, ...] | None
    """The possible answers, where there is a choice."""
    ranked: bool
    """Whether the most probable option is the answer; else the model writes."""
    shown: int
    """Worked examples in the prompt."""
    dropped: int
    """Worked examples left out, from the left, as the prompt would not have fitted."""

    @property
    def prompt_sha256(self) -> str:
        return hashlib.sha256(self.prompt.encode()).hexdigest()

    @property
    def random_score(self) -> float:
        """Expected score of a guess among the options."""
        return 1 / len(self.options) if self.options else 0.0


def questions(
    suite: Suite, task: EvalTask, length: Callable[[str], int], max_input: int
) -> list[EvalPrompt]:
    """Every item of a task as a question. `length`: tokens of a text, the end mark included."""
    worked = [_ask(suite, example) + _told(suite, example) for example in task.exemplars]
    preamble = suite.preamble.format(subject=task.file.replace("_", " "))
    if task.exemplars and task.exemplars[0].get("preamble"):
        preamble = task.exemplars[0]["preamble"]
    return [_question(suite, item, preamble, worked, length, max_input) for item in task.items]


def _question(
    suite: Suite,
    item: dict[str, Any],
    preamble: str,
    worked: list[str],
    length: Callable[[str], int],
    max_input: int,
) -> Question:
    asked = _ask(suite, item)
    for dropped in range(len(worked) + 1):
        parts = ([preamble] if preamble else []) + worked[dropped:] + [asked]
        prompt = BREAK.join(parts)
        if dropped == len(worked) or length(prompt) <= max_input:
            break
    options = tuple(item["options"]) if item.get("options") else None
    return EvalPrompt(
        id=str(item["id"]),
        prompt=prompt,
        answer=item["answer"],
        references=tuple(item.get("references") or [item["answer"]]),
        options=options,
        ranked=options is not None and suite.answer == "direct",
        shown=len(worked) - dropped,
        dropped=dropped,
    )


def _ask(suite: Suite, item: dict[str, Any]) -> str:
    fields = {key: item.get(key, "") for key in ("text", "question", "choices", "definition")}
    return suite.ask.format(**fields)


def _told(suite: Suite, example: dict[str, Any]) -> str:
    """What follows an example's question: its published reasoning, or its answer alone."""
    return str(example["rationale"]) if suite.answer == "cot" else f" {example['answer']}"
