"""Multiple-choice reading comprehension: Cosmos QA, DREAM, QuAIL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_pipelines.sources.part import InvalidRow, require_text
from data_pipelines.sources.raw.row import RawRow, mapping_at, option_at, require_int


def cosmos_qa(record: dict[str, str]) -> RawRow:
    """Convert Cosmos QA (arXiv 1909.00277): `id, context, question, answer0..answer3, label`."""
    context, question = (require_text(record.get(key), key) for key in ("context", "question"))
    options = tuple(require_text(record.get(f"answer{i}"), f"answer{i}") for i in range(4))
    label = require_int(record.get("label"), "label")
    return RawRow(
        columns={
            "context": context,
            "question": question,
            "label": label,
            **{f"answer{i}": option for i, option in enumerate(options)},
        },
        context=context,
        question=question,
        answer=option_at(options, label),
        options=options,
    )


def dream(record: Any) -> Iterator[RawRow]:
    """Convert DREAM (arXiv 1902.00164): `[turns, questions, id]`, one row per question.

    The answer is the text of one of the options.

    Raises:
        InvalidRow: The record has another structure, or an answer is not among its options.
    """
    if not isinstance(record, list) or len(record) != 3:
        raise InvalidRow("not a list of turns, questions, id")
    turns = [require_text(turn, "turn") for turn in record[0]]
    for entry in record[1]:
        question, answer = (require_text(entry.get(key), key) for key in ("question", "answer"))
        options = tuple(require_text(option, "choice") for option in entry.get("choice") or [])
        if answer not in options:
            raise InvalidRow(f"answer: {answer!r} is not one of the choices")
        yield RawRow(
            columns={
                "dialogue": turns,
                "question": question,
                "choice": list(options),
                "answer": answer,
            },
            context="\n".join(turns),
            question=question,
            answer=answer,
            options=options,
        )


def quail(record: dict[str, Any]) -> RawRow:
    """Convert QuAIL (AAAI 2020); `correct_answer_id` is the answer's index as text."""
    context, question = (require_text(record.get(key), key) for key in ("context", "question"))
    options = tuple(require_text(option, "answer") for option in record.get("answers") or [])
    index = require_int(record.get("correct_answer_id"), "correct_answer_id")
    return RawRow(
        columns={
            **{key: record.get(key) for key in ("id", "question_type", "domain", "context_id")},
            "context": context,
            "question": question,
            "answers": list(options),
            "correct_answer_id": index,
            "metadata": mapping_at(record, "metadata"),
        },
        context=context,
        question=question,
        answer=option_at(options, index),
        options=options,
    )
