"""BIG-Bench Hard and MMLU."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem, passage_cluster
from data_pipelines.sources.part import InvalidRow, Part, convert_rows

LETTERS = ("A", "B", "C", "D")
OPTION_LIST = "\nOptions:\n"
PASSAGE_MARK = "This question refers to the following information."
"""First line of an MMLU question about a passage; the last line is the question itself."""


def bbh(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read BIG-Bench Hard with direct answers: JSON `{examples: [{input, target}]}`.

    `options.answers` of the catalog states the kind of each task's answers: `listed`, below
    `Options:` in the question; `free`; or a list of the possible answers. It is never inferred from
    the targets, of which a truncated file has only some. A task that the catalog does not name is
    `listed` if every question has such a list, else `free`.

    Raises:
        SourceError: The file has no examples, or the catalog states another kind.
    """
    data = part.read_json()
    rows = data.get("examples") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not rows:
        raise SourceError(f"{part.path} is not a BBH task: examples are missing")
    kind = _answer_kind(part, rows)
    for number, row in enumerate(rows):
        text = row.get("input") if isinstance(row, dict) else None
        answer = row.get("target") if isinstance(row, dict) else None
        if not isinstance(text, str) or not isinstance(answer, str):
            yield part.reject(number, "no input or no target", row)
            continue
        options = _listed_options(text) if kind == "listed" else kind
        if options is not None and answer not in options:
            yield part.reject(number, f"target: {answer!r} is not one of the options", text)
            continue
        yield EvalItem(
            id=f"{part.path.stem}-{number}",
            text=text,
            answer=answer,
            options=options,
            question=text.partition(OPTION_LIST)[0],
        )


def _answer_kind(part: Part, rows: list[Any]) -> Literal["listed"] | tuple[str, ...] | None:
    """Return "listed", the possible answers of every item, or None for free-form answers."""
    kind = part.options.get("answers", {}).get(part.path.stem)
    if isinstance(kind, list) and all(isinstance(answer, str) for answer in kind):
        return tuple(kind)
    if kind is None:
        has_lists = all(OPTION_LIST in _input(row) for row in rows)
        return "listed" if has_lists else None
    if kind not in ("listed", "free"):
        raise SourceError(
            f"{part.source}.options.answers.{part.path.stem}: {kind!r} is not listed, free or a "
            "list of texts"
        )
    return "listed" if kind == "listed" else None


def _input(row: Any) -> str:
    return str(row.get("input")) if isinstance(row, dict) else ""


def _listed_options(text: str) -> tuple[str, ...]:
    """Return the letters, or the words after dashes, below `Options:`."""
    option_list = text.partition(OPTION_LIST)[2]
    letters = re.findall(r"^(\([A-Z]\))", option_list, re.M)
    return tuple(letters or re.findall(r"^- (.+?) *$", option_list, re.M))


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
            option_texts=tuple(cells[1:5]),
            question=cells[0],
            cluster=_passage_cluster(cells[0].strip()),
        )

    return convert_rows(part, part.csv_rows(header=False), convert)


def _passage_cluster(question: str) -> str:
    passage = question.rpartition("\n")[0]
    return passage_cluster(passage) if passage.startswith(PASSAGE_MARK) else ""
