"""PIQA (arXiv 1911.11641): JSON lines `{goal, sol1, sol2}`; a second file has a label per line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.sources.part import Part, require_text
from data_pipelines.sources.raw.row import RawRow, option_at, require_int


def read_piqa(part: Part) -> Iterator[tuple[int, Any]]:
    """Yield the records of `NAME.jsonl`, each with its label from `NAME-labels.lst`.

    Raises:
        SourceError: A file is missing, or the files differ in their number of lines.
    """
    labels_path = part.path.with_name(part.path.stem + "-labels.lst")
    labels = replace(part, path=labels_path, name=part.name).read_text().split()
    rows = list(part.json_lines())
    if len(rows) != len(labels):
        raise SourceError(
            f"{part.path} has {len(rows)} rows, but {labels_path} has {len(labels)} labels; "
            "fetch both again"
        )
    for (row, record), label in zip(rows, labels, strict=True):
        yield row, record if isinstance(record, RejectedRow) else {**record, "label": label}


def piqa(record: dict[str, Any]) -> RawRow:
    """Convert a record: which of two solutions reaches the goal."""
    goal, first, second = (require_text(record.get(key), key) for key in ("goal", "sol1", "sol2"))
    label = require_int(record["label"], "label")
    return RawRow(
        columns={"goal": goal, "sol1": first, "sol2": second, "label": label},
        question=goal,
        answer=option_at((first, second), label),
        options=(first, second),
    )
