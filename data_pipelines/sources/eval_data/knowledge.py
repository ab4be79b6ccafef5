"""BIG-Bench Hard and MMLU."""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.part import Part

LETTERS = ("A", "B", "C", "D")


def bbh(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """BIG-Bench Hard: JSON `{examples: [{input, target}]}`, direct answers.

    Choices are the letters, or the dashed words, under `Options:`; a task with at most two
    different answers (yes/no, true/false) is a choice between them; any other is generated.
    """
    data = part.json()
    rows = data.get("examples") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not rows:
        raise SourceError(f"{part.path} is not a BBH task: it has no examples")
    answers = sorted({str(row.get("target")) for row in rows})
    for number, row in enumerate(rows):
        text, answer = row.get("input"), row.get("target")
        if not isinstance(text, str) or not isinstance(answer, str):
            yield part.refused(number, "no input or no target", row)
            continue
        question, _, listed = text.partition("\nOptions:\n")
        options: tuple[str, ...] | None = None
        if listed:
            letters = re.findall(r"^(\([A-Z]\))", listed, re.M)
            options = tuple(letters or re.findall(r"^- (.+?) *$", listed, re.M))
        elif len(answers) <= 2:
            options = tuple(answers)
        if options is not None and answer not in options:
            yield part.refused(number, f"answer {answer!r} is none of the options", text)
            continue
        yield EvalItem(
            id=f"{part.path.stem}-{number}",
            text=text,
            answer=answer,
            options=options,
            question=question,
        )


def mmlu(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """MMLU: headerless CSV `question, A, B, C, D, answer`; quoted cells may hold line breaks."""
    for number, row in part.table(header=False):
        if len(row) != 6 or row[5] not in LETTERS:
            yield part.refused(number, "not question, four options, answer letter", row)
            continue
        choices = [f"({a}) {text}" for a, text in zip(LETTERS, row[1:5], strict=True)]
        yield EvalItem(
            id=f"{part.path.stem}-{number}",
            text="\n".join([row[0].strip(), *choices]),
            choices=" ".join(choices),
            answer=row[5],
            options=LETTERS,
            question=row[0],
        )
