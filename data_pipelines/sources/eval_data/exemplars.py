"""Published few-shot prompts, parsed into their exemplars.

Joined with the published separators, the preamble and the text and rationale of each exemplar
reproduce the published prompt exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.part import Part

COT_CUE = "Let's think step by step"
_ANSWER = re.compile(r"answer is (.+?)\.?\s*$")
_CHOICES = re.compile(r"\n(\(A\) .+)$", re.DOTALL)


def bbh_prompt(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read a CoT prompt of BIG-Bench Hard: canary, `-----`, task description, `Q: … A: …` blocks.

    Raises:
        SourceError: The line of dashes is missing.
    """
    _, dashes, body = part.read_text().partition("-----\n")
    if not dashes:
        raise SourceError(f"{part.path} is not a BBH prompt: the line of dashes is missing")
    yield from _parse_blocks(part, part.path.stem, body.rstrip())


def mmlu_cot(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read a JSON object: MMLU subject -> prompt of `Q: … A: …` blocks.

    Raises:
        SourceError: The file is not a JSON object.
    """
    prompts = part.read_json()
    if not isinstance(prompts, dict):
        raise SourceError(f"{part.path} is not a JSON object of subjects")
    for subject, prompt in prompts.items():
        yield from _parse_blocks(part, subject, str(prompt).rstrip())


def gsm8k_prompt(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read blocks of `Question: …`, `Let's think step by step`, rationale, `The answer is 6.`.

    A blank line separates the blocks.
    """
    for row, block in enumerate(_split_blocks(part.read_text().strip(), "Question: ")):
        question, cue, rationale = block.partition(f"\n{COT_CUE}")
        answer = _ANSWER.search(rationale)
        if not cue or answer is None:
            yield part.reject(row, "no rationale or no answer", block)
            continue
        yield _make_exemplar(
            part.path.stem, row, "", question, rationale, answer[1].replace(",", "")
        )


def _parse_blocks(part: Part, task: str, text: str) -> Iterator[EvalItem | RejectedRow]:
    preamble, *_ = re.split(r"(?:^|\n\n)Q: ", text, maxsplit=1)
    blocks = _split_blocks(text[len(preamble) :].lstrip("\n"), "Q: ")
    for row, block in enumerate(blocks):
        question, cue, rationale = block.partition(f"\nA: {COT_CUE}.")
        answer = _ANSWER.search(rationale)
        if not cue or answer is None:
            # Two published MMLU blocks end without an answer.
            yield part.reject(row, "no rationale or no answer", block)
            continue
        yield _make_exemplar(task, row, preamble, question, rationale, answer[1])


def _split_blocks(text: str, prefix: str) -> list[str]:
    blocks = re.split(rf"(?:^|\n\n){prefix}", text)
    return [block for block in blocks if block.strip()]


def _make_exemplar(
    task: str, row: int, preamble: str, question: str, rationale: str, answer: str
) -> EvalItem:
    choices = _CHOICES.search(question)
    return EvalItem(
        id=f"{task}-{row}",
        task=task,
        text=question,
        question=question[: choices.start()] if choices else question,
        choices=choices[1] if choices else "",
        answer=answer,
        options=None,
        rationale=rationale,
        preamble=preamble,
    )
