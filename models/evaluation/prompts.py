"""Prompts of evaluation items: description, few-shot exemplars, the item itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from models.evaluation.eval_data import EvalTask, TaskItem
from models.evaluation.prompt_tokenizer import PART_SEPARATOR
from models.evaluation.suite import Suite


@dataclass(frozen=True, kw_only=True)
class EvalPrompt:
    """An item with the prompt that one model receives."""

    id: str
    prompt: str
    answer: str
    references: tuple[str, ...]
    options: tuple[str, ...] | None
    """Possible answers; None for free text."""
    multiple_choice: bool
    """Whether the option with the highest log-probability is the answer; otherwise the model
    generates it."""
    num_exemplars: int
    """Few-shot exemplars in the prompt."""
    num_exemplars_dropped: int
    """Few-shot exemplars dropped from the end of their list, because they do not fit."""
    language: str = ""
    """ISO 639-1 code of the item's language; empty: English."""
    cluster: str = ""
    """Id that items of one passage, problem or family share; empty for an item of its own."""

    @property
    def prompt_sha256(self) -> str:
        return hashlib.sha256(self.prompt.encode()).hexdigest()

    @property
    def random_score(self) -> float:
        """Expected score of a random guess among the options."""
        return 1 / len(self.options) if self.options else 0.0


def build_prompts(
    suite: Suite, task: EvalTask, num_tokens: Callable[[str], int], max_input_tokens: int
) -> list[EvalPrompt]:
    """Build the prompt of every item of a task.

    Args:
        suite: the suite that the task belongs to.
        task: the task with its items and exemplars.
        num_tokens: counts the tokens of a text, the end-of-sequence token included.
        max_input_tokens: exemplars are dropped until the prompt has at most this many tokens, the
            last first, as in the evaluation code of MMLU and of Super-NaturalInstructions.

    Returns:
        One prompt per item, in the items' order.
    """
    exemplars = [
        _format_exemplar(suite, exemplar, number)
        for number, exemplar in enumerate(task.exemplars, start=1)
    ]
    preamble = task.exemplars[0].preamble if task.exemplars else ""
    return [
        _build_prompt(
            suite,
            item,
            preamble or _description(suite, task, item),
            exemplars,
            num_tokens,
            max_input_tokens,
        )
        for item in task.items
    ]


def _build_prompt(
    suite: Suite,
    item: TaskItem,
    description: str,
    exemplars: list[str],
    num_tokens: Callable[[str], int],
    max_input_tokens: int,
) -> EvalPrompt:
    question = _format_item(suite, item)
    for num_dropped in range(len(exemplars) + 1):
        retained = exemplars[: len(exemplars) - num_dropped]
        parts = ([description] if description else []) + retained + [question]
        prompt = PART_SEPARATOR.join(parts)
        if num_dropped == len(exemplars) or num_tokens(prompt) <= max_input_tokens:
            break
    options = item.options or None
    return EvalPrompt(
        id=item.id,
        prompt=prompt,
        answer=item.answer,
        references=item.references or (item.answer,),
        options=options,
        multiple_choice=(
            options is not None and suite.answer_mode == "direct" and suite.ranks_options
        ),
        num_exemplars=len(exemplars) - num_dropped,
        num_exemplars_dropped=num_dropped,
        language=item.language,
        cluster=item.cluster,
    )


def _description(suite: Suite, task: EvalTask, item: TaskItem) -> str:
    return suite.description.format(subject=task.file.replace("_", " "), definition=item.definition)


def _format_item(suite: Suite, item: TaskItem) -> str:
    return suite.prompt_template.format(**_placeholders(item))


def _format_exemplar(suite: Suite, exemplar: TaskItem, number: int) -> str:
    """Return an exemplar with its answer, or with its chain of thought."""
    if suite.exemplar_template:
        return suite.exemplar_template.format(
            **_placeholders(exemplar), answer=exemplar.answer, number=number
        )
    answer = exemplar.rationale if suite.answer_mode == "cot" else f" {exemplar.answer}"
    return _format_item(suite, exemplar) + answer


def _placeholders(item: TaskItem) -> dict[str, str]:
    lines = zip(item.options, item.option_texts, strict=False)
    return {
        "text": item.text,
        "question": item.question,
        "choices": item.choices,
        "choice_lines": "\n".join(f"{letter}. {text}" for letter, text in lines),
    }
