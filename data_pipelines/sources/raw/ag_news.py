"""AG News (arXiv 1509.01626): headerless quoted CSV of class 1-4, title, description."""

from __future__ import annotations

from data_pipelines.sources.part import BadRow
from data_pipelines.sources.raw.row import RawRow, choice, number

CLASSES = ("world", "sports", "business", "science and technology")


def ag_news(cells: list[str]) -> RawRow:
    """A backslash stands for a line break; entities of the old web crawl stay as they are."""
    if len(cells) != 3:
        raise BadRow(f"{len(cells)} columns instead of 3")
    title, description = (cell.replace("\\", " ").strip() for cell in cells[1:])
    if not title or not description:
        raise BadRow("no title or no description")
    label = number(cells[0], "class") - 1
    text = f"{title} {description}"
    return RawRow(
        columns={"text": text, "label": label},
        question=text,
        answer=choice(CLASSES, label),
        options=CLASSES,
        words={"title": title, "description": description},
    )
