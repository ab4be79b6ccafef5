"""AG News (arXiv 1509.01626): quoted CSV of class 1-4, title and description, without a header."""

from __future__ import annotations

from data_pipelines.sources.part import InvalidRow
from data_pipelines.sources.raw.row import RawRow, option_at, require_int

CLASSES = ("world", "sports", "business", "science and technology")


def ag_news(cells: list[str]) -> RawRow:
    """Convert a row. A backslash (a line break in the file) becomes a space; HTML entities remain.

    Raises:
        InvalidRow: A cell is missing or empty, or the class is unknown.
    """
    if len(cells) != 3:
        raise InvalidRow(f"{len(cells)} columns instead of 3")
    title, description = (cell.replace("\\", " ").strip() for cell in cells[1:])
    if not title or not description:
        raise InvalidRow("no title or no description")
    label = require_int(cells[0], "class") - 1
    text = f"{title} {description}"
    return RawRow(
        columns={"text": text, "label": label},
        question=text,
        answer=option_at(CLASSES, label),
        options=CLASSES,
        template_fields={"title": title, "description": description},
    )
