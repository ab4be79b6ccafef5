"""MRPC (Dolan & Brockett 2005): TSV with a byte-order mark; quotation marks are text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_pipelines.example import RejectedRow
from data_pipelines.sources.part import InvalidRow, Part
from data_pipelines.sources.raw.row import RawRow

NUM_COLUMNS = 5
ANSWERS = ("no", "yes")


def read_mrpc(part: Part) -> Iterator[tuple[int, Any]]:
    """Yield row number and cells of each row after the header."""
    for row, line in part.lines():
        if row > 1:
            yield row, line if isinstance(line, RejectedRow) else line.split("\t")


def mrpc(cells: list[str]) -> RawRow:
    """Convert a row: whether two sentences are paraphrases.

    Raises:
        InvalidRow: A cell is missing or empty, or the label is not 0 or 1.
    """
    if len(cells) != NUM_COLUMNS:
        raise InvalidRow(f"{len(cells)} columns instead of {NUM_COLUMNS}")
    quality, _, _, first, second = (cell.strip() for cell in cells)
    if quality not in ("0", "1") or not first or not second:
        raise InvalidRow("no quality 0 or 1, or an empty sentence")
    label = int(quality)
    return RawRow(
        columns={"sentence1": first, "sentence2": second, "label": label},
        question=f"{first} {second}",
        answer=ANSWERS[label],
        options=ANSWERS,
        template_fields={"first": first, "second": second},
    )
