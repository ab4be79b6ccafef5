"""PIQA (arXiv 1911.11641): `{goal, sol1, sol2}`; the labels lie line by line in a second file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.sources.part import Part, text_of
from data_pipelines.sources.raw.row import RawRow, choice, number


def records(part: Part) -> Iterator[tuple[int, Any]]:
    """Raises SourceError when the two files do not have the same number of lines."""
    labels_path = part.path.with_name(part.path.stem + "-labels.lst")
    labels = replace(part, path=labels_path, name=part.name).text().split()
    rows = list(part.json_lines())
    if len(rows) != len(labels):
        raise SourceError(f"{part.path} has {len(rows)} rows, {labels_path} {len(labels)} labels")
    for (row, record), label in zip(rows, labels, strict=True):
        yield row, record if isinstance(record, RejectedRow) else {**record, "label": label}


def piqa(record: dict[str, Any]) -> RawRow:
    """Which of two solutions reaches the goal."""
    goal, first, second = (text_of(record.get(key), key) for key in ("goal", "sol1", "sol2"))
    label = number(record["label"], "label")
    return RawRow(
        columns={"goal": goal, "sol1": first, "sol2": second, "label": label},
        question=goal,
        answer=choice((first, second), label),
        options=(first, second),
    )
