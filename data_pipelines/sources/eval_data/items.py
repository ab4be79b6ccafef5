"""Items in this project's own format: the evaluation items of the generated sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.part import InvalidRow, Part, convert_rows


def items(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read JSON lines with fields of `EvalItem`."""
    return convert_rows(part, part.json_lines(), lambda _, record: _convert(record))


def _convert(record: dict[str, Any]) -> EvalItem:
    cluster = record.get("cluster") or ""
    if not isinstance(cluster, str):
        raise InvalidRow(f"cluster: {cluster!r} is not a text")
    try:
        return EvalItem(
            id=record["id"],
            text=record["text"],
            answer=record["answer"],
            options=tuple(record["options"]) if record["options"] else None,
            question=record["question"],
            cluster=cluster,
        )
    except (KeyError, TypeError) as error:
        raise InvalidRow(f"not an item: {error}") from None
