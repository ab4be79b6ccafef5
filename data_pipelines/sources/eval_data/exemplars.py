"""Published few-shot prompts, taken apart into their worked examples.

Put together again, `preamble`, then each example's question and `rationale`, they are the published
text, letter for letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.part import Part

STEPS = "Let's think step by step"
_ANSWER = re.compile(r"answer is (.+?)\.?\s*$")
_CHOICES = re.compile(r"\n(\(A\) .+)$", re.DOTALL)


def bbh_prompt(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """BIG-Bench Hard's cot-prompts: a canary, `-----`, what the task is, `Q: … A: …` blocks."""
    _, rule, body = part.text().partition("-----\n")
    if not rule:
        raise SourceError(f"{part.path} is not a BBH prompt: it has no line of dashes")
    yield from _asked(part, part.path.stem, body.rstrip())


def mmlu_cot(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """A JSON object: MMLU subject -> prompt of `Q: … A: …` blocks."""
    prompts = part.json()
    if not isinstance(prompts, dict):
        raise SourceError(f"{part.path} is not a JSON object of subjects")
    for subject, prompt in prompts.items():
        yield from _asked(part, subject, str(prompt).rstrip())


def gsm8k_prompt(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """`Question: …`, `Let's think step by step`, the reasoning, `The answer is 6.`; a blank line
    between blocks."""
    for row, block in enumerate(_blocks(part.text().strip(), "Question: ")):
        question, cue, rationale = block.partition(f"\n{STEPS}")
        answer = _ANSWER.search(rationale)
        if not cue or answer is None:
            yield part.refused(row, "no steps or no answer", block)
            continue
        yield _example(part.path.stem, row, "", question, rationale, answer[1].replace(",", ""))


def _asked(part: Part, task: str, text: str) -> Iterator[EvalItem | RejectedRow]:
    preamble, *_ = re.split(r"(?:^|\n\n)Q: ", text, maxsplit=1)
    blocks = _blocks(text[len(preamble) :].lstrip("\n"), "Q: ")
    for row, block in enumerate(blocks):
        question, cue, rationale = block.partition(f"\nA: {STEPS}.")
        answer = _ANSWER.search(rationale)
        if not cue or answer is None:
            # Two published MMLU blocks end without naming an answer.
            yield part.refused(row, "no steps or no answer", block)
            continue
        yield _example(task, row, preamble, question, rationale, answer[1])


def _blocks(text: str, head: str) -> list[str]:
    found = re.split(rf"(?:^|\n\n){head}", text)
    return [block for block in found if block.strip()]


def _example(
    task: str, row: int, preamble: str, question: str, rationale: str, answer: str
) -> EvalItem:
    listed = _CHOICES.search(question)
    return EvalItem(
        id=f"{task}-{row}",
        task=task,
        text=question,
        question=question[: listed.start()] if listed else question,
        choices=listed[1] if listed else "",
        answer=answer,
        options=None,
        rationale=rationale,
        preamble=preamble,
    )
