"""Multiple-choice questions in the ARC family of formats: ARC, QASC, CommonsenseQA."""

from __future__ import annotations

from typing import Any, NamedTuple

from data_pipelines.sources.part import InvalidRow, require_text
from data_pipelines.sources.raw.row import RawRow, mapping_at

LETTER_BY_DIGIT = {"1": "A", "2": "B", "3": "C", "4": "D", "5": "E"}


class ChoiceQuestion(NamedTuple):
    """A question with labelled options; `answer_index` is the index of the right option."""

    question: str
    options: tuple[str, ...]
    labels: tuple[str, ...]
    answer_index: int


def parse_choice_question(record: dict[str, Any]) -> ChoiceQuestion:
    """Parse a record of the ARC family.

    Labels are letters or digits. A known damaged copy of ARC combines digits as labels with a
    letter as the answer key; the letter's position in the alphabet then selects the answer.

    Raises:
        InvalidRow: A field is missing, or the answer key is not one of the labels.
    """
    question = mapping_at(record, "question")
    stem = require_text(question.get("stem"), "question.stem")
    choices = question.get("choices")
    if not isinstance(choices, list) or len(choices) < 2:
        raise InvalidRow("fewer than two choices")
    options = tuple(require_text(choice.get("text"), "choice") for choice in choices)
    labels = tuple(str(choice.get("label")) for choice in choices)
    key = str(record.get("answerKey"))
    if key in labels:
        return ChoiceQuestion(stem, options, labels, labels.index(key))
    letters = tuple(LETTER_BY_DIGIT.get(label, label) for label in labels)
    if key not in letters:
        raise InvalidRow(f"answerKey: {key!r} is not one of {', '.join(labels)}")
    return ChoiceQuestion(stem, options, labels, letters.index(key))


def multiple_choice(record: dict[str, Any]) -> RawRow:
    """Convert a record `{question: {stem, choices: [{text, label}]}, answerKey}`.

    The facts of QASC are added to `columns` if present.
    """
    question, options, labels, index = parse_choice_question(record)
    columns: dict[str, Any] = {
        "id": record.get("id"),
        "question": question,
        "choices": {"text": list(options), "label": list(labels)},
        "answerKey": labels[index],
    }
    for key in ("fact1", "fact2", "combinedfact", "formatted_question"):
        if key in record:
            columns[key] = record[key]
    return RawRow(columns=columns, question=question, answer=options[index], options=options)
