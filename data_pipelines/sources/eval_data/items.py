"""Items that are in the project's own form already: the generated sample's held-out families."""

from __future__ import annotations

from collections.abc import Iterator

from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.part import Part


def items(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """JSON lines with the fields of `EvalItem`."""
    for row, record in part.json_lines():
        if isinstance(record, RejectedRow):
            yield record
            continue
        try:
            yield EvalItem(
                id=record["id"],
                text=record["text"],
                answer=record["answer"],
                options=tuple(record["options"]) if record["options"] else None,
                question=record["question"],
            )
        except (KeyError, TypeError) as error:
            yield part.refused(row, f"not an item: {error}", record)
