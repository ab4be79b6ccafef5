"""Multiple choice, yes/no questions and reading comprehension: ARC, elementary science, BoolQ,
StrategyQA, TyDiQA."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem, passage_cluster
from data_pipelines.sources.part import InvalidRow, Part, convert_rows
from data_pipelines.sources.raw.choices import parse_choice_question
from data_pipelines.templates.instructions import LETTERS

YES_NO = ("yes", "no")
LANGUAGES = {
    "arabic": "ar", "bengali": "bn", "english": "en", "finnish": "fi", "indonesian": "id",
    "korean": "ko", "russian": "ru", "swahili": "sw", "telugu": "te",
}  # fmt: skip
"""Language in the ids of TyDiQA, `bengali-123-0` -> ISO 639-1 code."""


def arc(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read ARC or AI2 elementary science: JSON lines; options are labelled by letters or digits."""

    def convert(row: int, record: dict[str, Any]) -> EvalItem:
        question, options, _, index = parse_choice_question(record)
        lettered = [f"({letter}) {text}" for letter, text in zip(LETTERS, options, strict=False)]
        return EvalItem(
            id=str(record.get("id", row)),
            text="\n".join([question, *lettered]),
            choices=" ".join(lettered),
            answer=LETTERS[index],
            options=tuple(LETTERS[: len(options)]),
            option_texts=tuple(options),
            question=question,
        )

    return convert_rows(part, part.json_lines(), convert)


def boolq(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read BoolQ: JSON lines `{question, passage, label: bool}`."""

    def convert(row: int, record: dict[str, Any]) -> EvalItem:
        question, passage, label = (record.get(key) for key in ("question", "passage", "label"))
        if not (isinstance(question, str) and isinstance(passage, str)) or label not in (0, 1):
            raise InvalidRow("no question, passage or label")
        return EvalItem(
            id=str(record.get("idx", row)),
            text=f"{passage}\nQuestion: {question}?",
            answer=YES_NO[0] if label else YES_NO[1],
            options=YES_NO,
            question=question,
            context=passage,
            cluster=passage_cluster(passage),
        )

    return convert_rows(part, part.json_lines(), convert)


def strategyqa(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read StrategyQA: a JSON list of `{question, answer, facts}`, or BIG-bench's `{examples}`.

    The rationale, for items that serve as exemplars, is the facts followed by the answer.

    Raises:
        SourceError: The file has no examples.
    """
    data = part.read_json()
    rows = data.get("examples") if isinstance(data, dict) else data
    if not isinstance(rows, list) or not rows:
        raise SourceError(f"{part.path} is not StrategyQA: examples are missing")

    def convert(row: int, record: dict[str, Any]) -> EvalItem:
        question = record.get("question", record.get("input"))
        scores = record.get("target_scores")
        answer = record.get("answer", scores.get("Yes") if isinstance(scores, dict) else None)
        if not isinstance(question, str) or answer not in (0, 1):
            raise InvalidRow("no question, or an answer that is not yes or no")
        word = YES_NO[0] if answer else YES_NO[1]
        facts = [" ".join(str(fact).split()) for fact in record.get("facts") or ()]
        return EvalItem(
            id=str(record.get("qid", row)),
            text=question,
            answer=word,
            options=YES_NO,
            question=question,
            rationale="\n".join(["", *facts, f"The answer is {word}."]) if facts else "",
        )

    yield from convert_rows(part, enumerate(rows), convert)


def tydiqa(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read TyDiQA gold passage: SQuAD 1.1 JSON; the first of several references is the answer.

    References that differ only in their position in the passage count once.

    Raises:
        SourceError: The file is not in SQuAD's format.
    """
    data = part.read_json()
    articles = data.get("data") if isinstance(data, dict) else None
    if not isinstance(articles, list):
        raise SourceError(f"{part.path} is not in SQuAD's format: data is missing")
    row = 0
    for article in articles:
        for paragraph in article["paragraphs"]:
            for entry in paragraph["qas"]:
                texts = [str(answer["text"]) for answer in entry.get("answers") or ()]
                if texts:
                    yield EvalItem(
                        id=str(entry["id"]),
                        text=f"{paragraph['context']}\nQuestion: {entry['question']}",
                        answer=texts[0],
                        references=tuple(dict.fromkeys(texts)),
                        options=None,
                        question=entry["question"],
                        context=paragraph["context"],
                        cluster=passage_cluster(paragraph["context"]),
                        language=LANGUAGES.get(str(entry["id"]).partition("-")[0], ""),
                    )
                else:
                    yield part.reject(row, "no answer", entry)
                row += 1
