"""Multiple-choice questions in the ARC family of formats: ARC, QASC, CommonsenseQA."""

from __future__ import annotations

from typing import Any

from data_pipelines.sources.part import BadRow, text_of
from data_pipelines.sources.raw.row import RawRow

DIGITS = {"1": "A", "2": "B", "3": "C", "4": "D", "5": "E"}


def parse(record: dict[str, Any]) -> tuple[str, tuple[str, ...], tuple[str, ...], int]:
    """Question, option texts, option labels, index of the answer. Raises BadRow.

    Labels are letters or digits; where an answer key is a letter and the labels are digits, as
    in a known damaged copy of ARC, the letter's place counts.
    """
    question = record.get("question")
    question = question if isinstance(question, dict) else {}
    stem = text_of(question.get("stem"), "question.stem")
    choices = question.get("choices")
    if not isinstance(choices, list) or len(choices) < 2:
        raise BadRow("fewer than two choices")
    texts = tuple(text_of(choice.get("text"), "choice") for choice in choices)
    labels = tuple(str(choice.get("label")) for choice in choices)
    key = str(record.get("answerKey"))
    if key not in labels:
        labels_as_letters = tuple(DIGITS.get(label, label) for label in labels)
        if key not in labels_as_letters:
            raise BadRow(f"answerKey {key!r} is none of {', '.join(labels)}")
        return stem, texts, labels, labels_as_letters.index(key)
    return stem, texts, labels, labels.index(key)


def choices(record: dict[str, Any]) -> RawRow:
    """`{question: {stem, choices: [{text, label}]}, answerKey}`, and QASC's facts."""
    stem, texts, labels, index = parse(record)
    columns: dict[str, Any] = {
        "id": record.get("id"),
        "question": stem,
        "choices": {"text": list(texts), "label": list(labels)},
        "answerKey": labels[index],
    }
    for key in ("fact1", "fact2", "combinedfact", "formatted_question"):
        if key in record:
            columns[key] = record[key]
    return RawRow(columns=columns, question=stem, answer=texts[index], options=texts)
