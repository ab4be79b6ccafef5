"""BIG-Bench Hard and MMLU."""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.part import InvalidRow, Part, convert_rows

LETTERS = ("A", "B", "C", "D")


def bbh(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read BIG-Bench Hard with direct answers: JSON `{examples: [{input, target}]}`.

    The options of an item are the letters, or the words after dashes, below `Options:`. Without
    such a list, the options are the different answers of the task if there are at most two (yes/no,
    true/false). Otherwise the answers are free-form.

    Raises:
        SourceError: The file has no examples.
    """
    data = part.read_json()
    rows = data.get("examples") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not rows:
        raise SourceError(f"{part.path} is not a BBH task: examples are missing")
    answers = sorted({str(row.get("target")) for row in rows})
    for number, row in enumerate(rows):
        text, answer = row.get("input"), row.get("target")
        if not isinstance(text, str) or not isinstance(answer, str):
            yield part.reject(number, "no input or no target", row)
            continue
        question, _, option_list = text.partition("\nOptions:\n")
        options: tuple[str, ...] | None = None
        if option_list:
            letters = re.findall(r"^(\([A-Z]\))", option_list, re.M)
            options = tuple(letters or re.findall(r"^- (.+?) *$", option_list, re.M))
        elif len(answers) <= 2:
            options = tuple(answers)
        if options is not None and answer not in options:
            yield part.reject(number, f"target: {answer!r} is not one of the options", text)
            continue
        yield EvalItem(
            id=f"{part.path.stem}-{number}",
            text=text,
            answer=answer,
            options=options,
            question=question,
        )


def mmlu(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read MMLU: quoted CSV `question, A, B, C, D, answer` without a header."""

    def convert(row: int, cells: list[str]) -> EvalItem:
        if len(cells) != 6 or cells[5] not in LETTERS:
            raise InvalidRow("not a question, four options and the letter of the answer")
        choices = [f"({letter}) {text}" for letter, text in zip(LETTERS, cells[1:5], strict=True)]
        return EvalItem(
            id=f"{part.path.stem}-{row}",
            text="\n".join([cells[0].strip(), *choices]),
            choices=" ".join(choices),
            answer=cells[5],
            options=LETTERS,
            question=cells[0],
        )

    return convert_rows(part, part.csv_rows(header=False), convert)
