"""Questions about a text with options to choose from: Cosmos QA, DREAM, QuAIL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_pipelines.sources.part import BadRow, text_of
from data_pipelines.sources.raw.row import RawRow, choice, number


def cosmos_qa(record: dict[str, str]) -> RawRow:
    """Cosmos QA (arXiv 1909.00277): CSV `id, context, question, answer0..answer3, label`."""
    context, question = (text_of(record.get(key), key) for key in ("context", "question"))
    options = tuple(text_of(record.get(f"answer{i}"), f"answer{i}") for i in range(4))
    label = number(record.get("label"), "label")
    return RawRow(
        columns={
            "context": context,
            "question": question,
            "label": label,
            **{f"answer{i}": option for i, option in enumerate(options)},
        },
        context=context,
        question=question,
        answer=choice(options, label),
        options=options,
    )


def dream(record: Any) -> Iterator[RawRow]:
    """DREAM (arXiv 1902.00164): `[turns, questions, id]`; the answer is an option's text."""
    if not isinstance(record, list) or len(record) != 3:
        raise BadRow("not turns, questions, id")
    turns = [text_of(turn, "turn") for turn in record[0]]
    for asked in record[1]:
        question, answer = (text_of(asked.get(key), key) for key in ("question", "answer"))
        options = tuple(text_of(option, "choice") for option in asked.get("choice") or [])
        if answer not in options:
            raise BadRow(f"answer {answer!r} is no choice")
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
    """QuAIL (AAAI 2020): `correct_answer_id` is the answer's place, as text."""
    context, question = (text_of(record.get(key), key) for key in ("context", "question"))
    options = tuple(text_of(option, "answer") for option in record.get("answers") or [])
    index = number(record.get("correct_answer_id"), "correct_answer_id")
    metadata = record.get("metadata")
    return RawRow(
        columns={
            **{key: record.get(key) for key in ("id", "question_type", "domain", "context_id")},
            "context": context,
            "question": question,
            "answers": list(options),
            "correct_answer_id": index,
            "metadata": metadata if isinstance(metadata, dict) else {},
        },
        context=context,
        question=question,
        answer=choice(options, index),
        options=options,
    )
