"""Items that are in the project's own form already: the generated sample's held-out families."""

from __future__ import annotations

from collections.abc import Iterator

from data_pipelines.example import Refused
from data_pipelines.sources.eval_data.item import Item
from data_pipelines.sources.part import Part


def items(part: Part) -> Iterator[Item | Refused]:
    """JSON lines with the fields of `Item`."""
    for row, record in part.json_lines():
        if isinstance(record, Refused):
            yield record
            continue
        try:
            yield Item(
                id=record["id"],
                text=record["text"],
                answer=record["answer"],
                options=tuple(record["options"]) if record["options"] else None,
                question=record["question"],
            )
        except (KeyError, TypeError) as error:
            yield part.refused(row, f"not an item: {error}", record)
