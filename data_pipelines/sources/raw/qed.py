"""QED (arXiv 2009.06354): a question and the span of a paragraph that answers it."""

from __future__ import annotations

from typing import Any

from data_pipelines.sources.part import InvalidRow, require_text
from data_pipelines.sources.raw.row import RawRow


def qed(record: dict[str, Any]) -> RawRow:
    """Convert a record; the first span of the first original annotation is the answer.

    Raises:
        InvalidRow: The question, the paragraph, the title or the answer is missing.
    """
    question, paragraph, title = (
        require_text(record.get(key), key)
        for key in ("question_text", "paragraph_text", "title_text")
    )
    answers = record.get("original_nq_answers") or []
    texts = tuple(
        dict.fromkeys(
            span["string"].strip() for spans in answers for span in spans if span["string"].strip()
        )
    )
    if not texts:
        raise InvalidRow("no answer")
    return RawRow(
        columns=record,
        context=paragraph,
        question=question,
        answer=texts[0],
        references=texts,
        template_fields={"title": title},
    )
