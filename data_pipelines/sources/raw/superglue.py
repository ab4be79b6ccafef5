"""SuperGLUE's JSON lines, as FewGLUE and others ship them (arXiv 1905.00537)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_pipelines.sources.part import BadRow, text_of
from data_pipelines.sources.raw.row import RawRow, choice

YES_NO = ("no", "yes")
ENTAILMENT = ("entailment", "not_entailment")
STANCE = ("entailment", "contradiction", "neutral")
WORDED = {
    "entailment": "yes",
    "not_entailment": "no",
    "contradiction": "no",
    "neutral": "it is not possible to tell",
}


def boolq(record: dict[str, Any]) -> RawRow:
    """BoolQ: `{question, passage, label: bool}`."""
    question, passage = text_of(record.get("question"), "question"), _passage(record)
    label = _truth(record)
    return RawRow(
        columns={"question": question, "passage": passage, "label": label},
        context=passage,
        question=question,
        answer=YES_NO[label],
        options=YES_NO,
    )


def rte(record: dict[str, Any]) -> RawRow:
    """RTE: premise, hypothesis, entailment or not."""
    return _inference(record, ENTAILMENT)


def cb(record: dict[str, Any]) -> RawRow:
    """CommitmentBank: entailment, contradiction, neutral."""
    return _inference(record, STANCE)


def copa(record: dict[str, Any]) -> RawRow:
    """COPA: which of two is the cause, or the effect, of the premise."""
    premise, first, second = (
        text_of(record.get(key), key) for key in ("premise", "choice1", "choice2")
    )
    asks = text_of(record.get("question"), "question")
    if asks not in ("cause", "effect"):
        raise BadRow(f"question is {asks!r}, not cause or effect")
    options = (first, second)
    return RawRow(
        columns={
            "premise": premise,
            "choice1": first,
            "choice2": second,
            "question": asks,
            "label": record.get("label"),
        },
        question=f"{premise} {asks}",
        answer=choice(options, record.get("label")),
        options=options,
        words={"premise": premise, "asks": asks},
    )


def multirc(record: dict[str, Any]) -> Iterator[RawRow]:
    """MultiRC: a passage with questions, each with answers that are right or not."""
    passage = record.get("passage")
    passage = passage if isinstance(passage, dict) else {}
    paragraph = text_of(passage.get("text"), "passage.text")
    for asked in passage.get("questions") or []:
        question = text_of(asked.get("question"), "question")
        for offered in asked.get("answers") or []:
            text, label = text_of(offered.get("text"), "answer"), _truth(offered)
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
                words={"asked": question, "offered": text},
            )


def record(record: dict[str, Any]) -> Iterator[RawRow]:
    """ReCoRD: which entity of the passage stands for @placeholder in the query."""
    passage = record.get("passage")
    passage = passage if isinstance(passage, dict) else {}
    text = text_of(passage.get("text"), "passage.text")
    spans = passage.get("entities") or []
    entities = tuple(dict.fromkeys(text[s["start"] : s["end"] + 1] for s in spans))
    for asked in record.get("qas") or []:
        query = text_of(asked.get("query"), "query")
        answers = tuple(dict.fromkeys(a["text"] for a in asked.get("answers") or []))
        if not answers:
            raise BadRow("a query without answer")
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
    """Winograd schemas: whether a pronoun stands for a noun phrase."""
    text, target = text_of(record.get("text"), "text"), record.get("target")
    target = target if isinstance(target, dict) else {}
    noun, pronoun = (text_of(target.get(key), key) for key in ("span1_text", "span2_text"))
    label = _truth(record)
    return RawRow(
        columns={"text": text, **target, "label": label},
        question=f"{text} {noun} {pronoun}",
        answer=YES_NO[label],
        options=YES_NO,
        words={"text": text, "noun": noun, "pronoun": pronoun},
    )


def wic(record: dict[str, Any]) -> RawRow:
    """WiC: whether a word has the same meaning in two sentences."""
    word, first, second = (
        text_of(record.get(key), key) for key in ("word", "sentence1", "sentence2")
    )
    label = _truth(record)
    return RawRow(
        columns={"word": word, "sentence1": first, "sentence2": second, "label": label},
        question=f"{word} {first} {second}",
        answer=YES_NO[label],
        options=YES_NO,
        words={"word": word, "first": first, "second": second},
    )


def _inference(record: dict[str, Any], labels: tuple[str, ...]) -> RawRow:
    premise, hypothesis = (text_of(record.get(key), key) for key in ("premise", "hypothesis"))
    label = record.get("label")
    if label not in labels:
        raise BadRow(f"label is {label!r}, not one of {', '.join(labels)}")
    return RawRow(
        columns={"premise": premise, "hypothesis": hypothesis, "label": labels.index(label)},
        context=premise,
        question=hypothesis,
        answer=WORDED[label],
        options=tuple(WORDED[name] for name in labels),
    )


def _passage(record: dict[str, Any]) -> str:
    return text_of(record.get("passage"), "passage")


def _truth(record: dict[str, Any]) -> int:
    label = record.get("label")
    if label not in (0, 1):  # True and False as well
        raise BadRow(f"label is {label!r}, not true or false")
    return int(label)
