"""Questions with options, yes or no, or about a passage: ARC, elementary science, BoolQ,
StrategyQA, TyDiQA."""

from __future__ import annotations

from collections.abc import Iterator

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.part import BadRow, Part
from data_pipelines.sources.raw.choices import parse
from data_pipelines.templates.instructions import LETTERS

YES_NO = ("yes", "no")


def arc(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """ARC and AI2 elementary science: JSON lines; 3 to 5 options, labelled by letters or digits."""
    for row, record in part.json_lines():
        if isinstance(record, RejectedRow):
            yield record
            continue
        try:
            stem, texts, _, index = parse(record)
        except BadRow as reason:
            yield part.refused(row, str(reason), record)
            continue
        shown = [f"({a}) {text}" for a, text in zip(LETTERS, texts, strict=False)]
        yield EvalItem(
            id=str(record.get("id", row)),
            text="\n".join([stem, *shown]),
            choices=" ".join(shown),
            answer=LETTERS[index],
            options=tuple(LETTERS[: len(texts)]),
            question=stem,
        )


def boolq(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """BoolQ: JSON lines `{question, passage, label: bool}`."""
    for row, record in part.json_lines():
        if isinstance(record, RejectedRow):
            yield record
            continue
        question, passage, label = (record.get(key) for key in ("question", "passage", "label"))
        if not (isinstance(question, str) and isinstance(passage, str)) or label not in (0, 1):
            yield part.refused(row, "no question, passage or label", record)
            continue
        yield EvalItem(
            id=str(record.get("idx", row)),
            text=f"{passage}\nQuestion: {question}?",
            answer=YES_NO[0] if label else YES_NO[1],
            options=YES_NO,
            question=question,
            context=passage,
        )


def strategyqa(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """StrategyQA: its own JSON list `{question, answer: bool, facts}`, or BIG-bench's `{examples}`.

    The facts, and the answer after them, are what an item says as a worked example.
    """
    data = part.json()
    rows = data.get("examples") if isinstance(data, dict) else data
    if not isinstance(rows, list) or not rows:
        raise SourceError(f"{part.path} is not StrategyQA: it has no examples")
    for row, record in enumerate(rows):
        question = record.get("question", record.get("input"))
        scores = record.get("target_scores")
        answer = record.get("answer", scores.get("Yes") if isinstance(scores, dict) else None)
        if not isinstance(question, str) or answer not in (0, 1):
            yield part.refused(row, "no question, or an answer that is not yes or no", record)
            continue
        word = YES_NO[0] if answer else YES_NO[1]
        facts = [" ".join(str(fact).split()) for fact in record.get("facts") or ()]
        yield EvalItem(
            id=str(record.get("qid", row)),
            text=question,
            answer=word,
            options=YES_NO,
            question=question,
            rationale="\n".join(["", *facts, f"The answer is {word}."]) if facts else "",
        )


def tydiqa(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """TyDiQA gold passage: SQuAD 1.1 JSON; of several references the first is the answer.

    References that differ only in where they stand in the passage are one.
    """
    data = part.json()
    articles = data.get("data") if isinstance(data, dict) else None
    if not isinstance(articles, list):
        raise SourceError(f"{part.path} is not in SQuAD's format: it has no data")
    row = 0
    for article in articles:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                texts = [str(answer["text"]) for answer in asked.get("answers") or ()]
                if texts:
                    yield EvalItem(
                        id=str(asked["id"]),
                        text=f"{paragraph['context']}\nQuestion: {asked['question']}",
                        answer=texts[0],
                        references=tuple(dict.fromkeys(texts)),
                        options=None,
                        question=asked["question"],
                        context=paragraph["context"],
                    )
                else:
                    yield part.refused(row, "no answer", asked)
                row += 1
