"""Word problems with a number as the answer: GSM8K, SVAMP, ASDiv, MGSM."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Any

# The standard library's XML parser would expand entities of an untrusted file without limit.
from defusedxml.ElementTree import ParseError, fromstring

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.part import InvalidRow, Part, convert_rows

NUMBER = re.compile(r"-?\d+(\.\d+)?")
DOUBLE_DIGITS = 15
"""Significant decimal digits that a double-precision number represents exactly (DBL_DIG)."""


MAX_EXPONENT = 300
"""Published answers are within the range of double-precision numbers."""


def gsm8k(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read GSM8K: JSON lines `{question, answer}`; the number after `####` is the answer.

    A problem is in a cluster with its translations in MGSM.
    """

    def convert(row: int, record: dict[str, Any]) -> EvalItem:
        question, solution = record.get("question"), record.get("answer")
        if not isinstance(question, str) or not isinstance(solution, str):
            raise InvalidRow("no question or no answer")
        answer = solution.rpartition("####")[2].strip()
        if "####" not in solution or not _is_number(answer):
            raise InvalidRow("no number after ####")
        return _make_item(part, row - 1, question, answer, cluster=f"gsm8k-{row - 1}")

    return convert_rows(part, part.json_lines(), convert)


def svamp(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read SVAMP: a JSON list of `{ID, Body, Question, Answer: float}`.

    A full stop is added to a body that ends without punctuation.
    """

    def convert(row: int, record: dict[str, Any]) -> EvalItem:
        body, question, answer = (record.get(key) for key in ("Body", "Question", "Answer"))
        if not (isinstance(body, str) and isinstance(question, str)):
            raise InvalidRow("no body, question or number")
        if not isinstance(answer, int | Decimal) or isinstance(answer, bool):
            raise InvalidRow("no body, question or number")
        if abs(Decimal(answer).adjusted()) > MAX_EXPONENT:
            raise InvalidRow(f"Answer: {answer} is too large or too small")
        body = body.strip()
        stop = "" if body.endswith((".", "!", "?", ",")) else "."
        return _make_item(
            part, row, f"{body}{stop} {question.strip()}", number_text(Decimal(answer))
        )

    return convert_rows(part, part.json_list(parse_float=Decimal), convert)


def asdiv(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read ASDiv: XML. An answer is `9 (apples)`, several values joined by `; `, or text.

    The unit of a single number is removed; other answers stay as published.

    Raises:
        SourceError: The file is not XML.
    """
    try:
        root = fromstring(part.read_text())
    except ParseError as error:
        raise SourceError(f"{part.path} is not XML: {error}; fetch it again") from None
    for row, problem in enumerate(root.iter("Problem")):
        body, question, answer = (
            (problem.findtext(key) or "").strip() for key in ("Body", "Question", "Answer")
        )
        if not body or not question or not answer:
            yield part.reject(row, "no body, question or answer", str(problem.attrib))
            continue
        without_unit = re.sub(r"\s*\([^)]*\)$", "", answer)
        text = f"{body} {question}"
        yield EvalItem(
            id=str(problem.get("ID", row)),
            text=text,
            answer=without_unit.replace(",", "") if _is_number(without_unit) else answer,
            options=None,
            question=text,
        )


def mgsm(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read MGSM, translated test problems of GSM8K: TSV of question and number without a header.

    The name of a file ends with its language, `mgsm_de.tsv`. Its rows are the first ones of the
    test split of GSM8K, so a row is one problem in every file.
    """

    def convert(row: int, line: str) -> EvalItem:
        question, _, answer = line.rpartition("\t")
        if not question or not _is_number(answer):
            raise InvalidRow("not a question and a number")
        cluster = f"gsm8k-{row - 1}"
        return _make_item(part, row - 1, question, answer, language=language, cluster=cluster)

    language = part.path.stem.rpartition("_")[2]
    return convert_rows(part, part.lines(), convert)


def number_text(value: Decimal) -> str:
    """Write a published number with all of its digits, without exponent and trailing zeros.

    A fraction with more than 15 significant digits is the rounding error of a double-precision
    number, which represents 15 exactly: 0.30000000000000004 becomes `0.3`.
    """
    if value == value.to_integral_value():
        return format(value.to_integral_value(), "f")
    return format(Context(prec=DOUBLE_DIGITS).plus(value).normalize(), "f")


def _is_number(text: str) -> bool:
    return NUMBER.fullmatch(text.strip().replace(",", "")) is not None


def _make_item(
    part: Part, index: int, question: str, answer: str, *, language: str = "", cluster: str = ""
) -> EvalItem:
    return EvalItem(
        id=f"{part.path.stem}-{index}",
        text=question.strip(),
        answer=answer.strip().replace(",", ""),
        options=None,
        question=question,
        language=language,
        cluster=cluster,
    )
