"""Plain text for pre-training: one document per line."""

from __future__ import annotations

from collections.abc import Iterator

from data_pipelines.example import TEXT, Example, RejectedRow
from data_pipelines.params import ReadParams
from data_pipelines.sources.part import Part

LINES = True


def load(part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]:
    """Yield the documents of one file; blank lines are skipped."""
    for row, line in part.lines():
        if isinstance(line, RejectedRow):
            yield line
        elif line.strip():
            yield Example(
                mixture=TEXT,
                task=part.source,
                template="",
                inputs=line,
                targets="",
                references=(),
                options=None,
                source_file=part.name,
                source_row=row,
                question=line,
                answer="",
                allow_exemplars=False,
            )
