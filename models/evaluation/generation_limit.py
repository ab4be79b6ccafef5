"""The maximum length of generated answers, for the tokenizer of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from models.evaluation.eval_data import EvalTask
from models.evaluation.suite import Suite


def generation_limit(
    suite: Suite, tasks: Sequence[EvalTask], task: EvalTask, num_tokens: Callable[[str], int]
) -> int:
    """Return the maximum number of tokens that a task's answers may have.

    Limits of suites count tokens of T5's tokenizer. A smaller vocabulary needs more tokens for the
    same text, so the limit grows by the ratio of characters per token in the suite's exemplars. In
    a suite without exemplars the ratio is that of the task's references, so it is the language's.

    Args:
        suite: the suite.
        tasks: the tasks of the suite.
        task: one of them.
        num_tokens: counts the tokens of a text.

    Returns:
        The limit in tokens of the model's tokenizer, at least `suite.max_new_tokens`.
    """
    if suite.t5_characters_per_token is None:
        return suite.max_new_tokens
    texts = _exemplar_texts(tasks) or _references(task)
    characters = sum(map(len, texts))
    ratio = suite.t5_characters_per_token * sum(map(num_tokens, texts)) / characters
    return max(suite.max_new_tokens, round(suite.max_new_tokens * ratio))


def _exemplar_texts(tasks: Sequence[EvalTask]) -> list[str]:
    """Return every exemplar of the tasks once, with its chain of thought or its answer."""
    exemplars = (exemplar for task in tasks for exemplar in task.exemplars)
    return list(dict.fromkeys(e.text + (e.rationale or f" {e.answer}") for e in exemplars))


def _references(task: EvalTask) -> list[str]:
    return [text for item in task.items for text in item.references or (item.answer,)]
