"""SuperGLUE (arXiv 1905.00537): JSON lines, as FewGLUE and others publish them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_pipelines.sources.part import InvalidRow, require_text
from data_pipelines.sources.raw.row import RawRow, mapping_at, option_at

YES_NO = ("no", "yes")
RTE_LABELS = ("entailment", "not_entailment")
CB_LABELS = ("entailment", "contradiction", "neutral")
ANSWER_BY_LABEL = {
    "entailment": "yes",
    "not_entailment": "no",
    "contradiction": "no",
    "neutral": "it is not possible to tell",
}


def boolq(record: dict[str, Any]) -> RawRow:
    """Convert BoolQ: `{question, passage, label: bool}`."""
    question, passage = (require_text(record.get(key), key) for key in ("question", "passage"))
    label = _binary_label(record)
    return RawRow(
        columns={"question": question, "passage": passage, "label": label},
        context=passage,
        question=question,
        answer=YES_NO[label],
        options=YES_NO,
    )


def rte(record: dict[str, Any]) -> RawRow:
    """Convert RTE: whether a premise entails a hypothesis."""
    return _inference(record, RTE_LABELS)


def cb(record: dict[str, Any]) -> RawRow:
    """Convert CommitmentBank: entailment, contradiction or neutral."""
    return _inference(record, CB_LABELS)


def copa(record: dict[str, Any]) -> RawRow:
    """Convert COPA: which of two alternatives is the cause or the effect of a premise.

    Raises:
        InvalidRow: A field is missing or has an unknown value.
    """
    premise, first, second = (
        require_text(record.get(key), key) for key in ("premise", "choice1", "choice2")
    )
    relation = require_text(record.get("question"), "question")
    if relation not in ("cause", "effect"):
        raise InvalidRow(f"question: {relation!r} is not cause or effect")
    options = (first, second)
    return RawRow(
        columns={
            "premise": premise,
            "choice1": first,
            "choice2": second,
            "question": relation,
            "label": record.get("label"),
        },
        question=f"{premise} {relation}",
        answer=option_at(options, record.get("label")),
        options=options,
        template_fields={"premise": premise, "relation": relation},
    )


def multirc(record: dict[str, Any]) -> Iterator[RawRow]:
    """Convert MultiRC: passages with questions and candidate answers, one row per candidate."""
    passage = mapping_at(record, "passage")
    paragraph = require_text(passage.get("text"), "passage.text")
    for entry in passage.get("questions") or []:
        question = require_text(entry.get("question"), "question")
        for candidate in entry.get("answers") or []:
            text, label = require_text(candidate.get("text"), "answer"), _binary_label(candidate)
            yield RawRow(
                columns={
                    "paragraph": paragraph,
                    "question": question,
                    "answer": text,
                    "label": label,
                },
                context=paragraph,
                question=f"{question} {text}",
                answer=YES_NO[label],
                options=YES_NO,
                template_fields={"passage_question": question, "candidate": text},
            )


def record(record: dict[str, Any]) -> Iterator[RawRow]:
    """Convert ReCoRD: which entity of the passage replaces @placeholder in the query.

    Raises:
        InvalidRow: A text or an answer is missing.
    """
    passage = mapping_at(record, "passage")
    text = require_text(passage.get("text"), "passage.text")
    spans = passage.get("entities") or []
    entities = tuple(dict.fromkeys(text[s["start"] : s["end"] + 1] for s in spans))
    for entry in record.get("qas") or []:
        query = require_text(entry.get("query"), "query")
        answers = tuple(dict.fromkeys(a["text"] for a in entry.get("answers") or []))
        if not answers:
            raise InvalidRow("a query without answer")
        yield RawRow(
            columns={
                "passage": text,
                "query": query,
                "entities": list(entities),
                "answers": list(answers),
            },
            context=text,
            question=query,
            answer=answers[0],
            references=answers,
            options=entities if answers[0] in entities else None,
        )


def wsc(record: dict[str, Any]) -> RawRow:
    """Convert a Winograd schema: whether a pronoun refers to a noun phrase."""
    text, target = require_text(record.get("text"), "text"), mapping_at(record, "target")
    noun, pronoun = (require_text(target.get(key), key) for key in ("span1_text", "span2_text"))
    label = _binary_label(record)
    return RawRow(
        columns={"text": text, **target, "label": label},
        question=f"{text} {noun} {pronoun}",
        answer=YES_NO[label],
        options=YES_NO,
        template_fields={"text": text, "noun": noun, "pronoun": pronoun},
    )


def wic(record: dict[str, Any]) -> RawRow:
    """Convert WiC: whether a word has the same meaning in two sentences."""
    word, first, second = (
        require_text(record.get(key), key) for key in ("word", "sentence1", "sentence2")
    )
    label = _binary_label(record)
    return RawRow(
        columns={"word": word, "sentence1": first, "sentence2": second, "label": label},
        question=f"{word} {first} {second}",
        answer=YES_NO[label],
        options=YES_NO,
        template_fields={"word": word, "first": first, "second": second},
    )


def _inference(record: dict[str, Any], labels: tuple[str, ...]) -> RawRow:
    premise, hypothesis = (require_text(record.get(key), key) for key in ("premise", "hypothesis"))
    label = record.get("label")
    if label not in labels:
        raise InvalidRow(f"label: {label!r} is not one of {', '.join(labels)}")
    return RawRow(
        columns={"premise": premise, "hypothesis": hypothesis, "label": labels.index(label)},
        context=premise,
        question=hypothesis,
        answer=ANSWER_BY_LABEL[label],
        options=tuple(ANSWER_BY_LABEL[name] for name in labels),
    )


def _binary_label(record: dict[str, Any]) -> int:
    label = record.get("label")
    if label not in (0, 1):  # True and False as well
        raise InvalidRow(f"label: {label!r} is not true or false")
    return int(label)
