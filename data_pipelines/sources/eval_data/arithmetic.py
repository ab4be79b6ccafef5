"""Word problems whose answer is a number: GSM8K, SVAMP, ASDiv, MGSM."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Parsing untrusted XML: the standard library's parser would expand entities without end.
from defusedxml.ElementTree import ParseError, fromstring

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.part import Part

NUMBER = re.compile(r"-?\d+(\.\d+)?")


def gsm8k(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """GSM8K: JSON lines `{question, answer}`; the number after `####` is the answer."""
    for row, record in part.json_lines():
        if isinstance(record, RejectedRow):
            yield record
            continue
        question, solution = record.get("question"), record.get("answer")
        if not isinstance(question, str) or not isinstance(solution, str):
            yield part.refused(row, "no question or no answer", record)
            continue
        answer = solution.rpartition("####")[2].strip()
        if "####" not in solution or not _is_number(answer):
            yield part.refused(row, "no number after ####", record)
            continue
        yield _item(part, row - 1, question, answer)


def svamp(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """SVAMP: a JSON list of `{ID, Body, Question, Answer: float}`; the body may lack its stop."""
    for row, record in part.json_list():
        body, question, answer = (record.get(key) for key in ("Body", "Question", "Answer"))
        if not (isinstance(body, str) and isinstance(question, str)) or not isinstance(
            answer, int | float
        ):
            yield part.refused(row, "no body, question or number", record)
            continue
        body = body.strip()
        stop = "" if body.endswith((".", "!", "?", ",")) else "."
        yield _item(part, row, f"{body}{stop} {question.strip()}", f"{answer:g}")


def asdiv(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """ASDiv: XML; an answer is `9 (apples)`, several joined by `; `, or no number.

    A single number is the answer without its unit; others stay as they are written.
    """
    try:
        root = fromstring(part.text())
    except ParseError as error:
        raise SourceError(f"{part.path} is not XML: {error}; fetch it again") from None
    for row, problem in enumerate(root.iter("Problem")):
        body, question, answer = (
            (problem.findtext(key) or "").strip() for key in ("Body", "Question", "Answer")
        )
        if not body or not question or not answer:
            yield part.refused(row, "no body, question or answer", str(problem.attrib))
            continue
        bare = re.sub(r"\s*\([^)]*\)$", "", answer)
        text = f"{body} {question}"
        yield EvalItem(
            id=str(problem.get("ID", row)),
            text=text,
            answer=bare.replace(",", "") if _is_number(bare) else answer,
            options=None,
            question=text,
        )


def mgsm(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """MGSM: headerless TSV of question and number, the first GSM8K test problems translated."""
    for row, line in part.lines():
        if isinstance(line, RejectedRow):
            yield line
            continue
        question, _, answer = line.rpartition("\t")
        if not question or not _is_number(answer):
            yield part.refused(row, "not question and number", line)
            continue
        yield _item(part, row - 1, question, answer)


def _is_number(text: str) -> bool:
    return NUMBER.fullmatch(text.strip().replace(",", "")) is not None


def _item(part: Part, row: int, question: str, answer: str) -> EvalItem:
    return EvalItem(
        id=f"{part.path.stem}-{row}",
        text=question.strip(),
        answer=answer.strip().replace(",", ""),
        options=None,
        question=question,
    )
