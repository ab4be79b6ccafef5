"""Film reviews, negative or positive: SST-2 and Rotten Tomatoes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_pipelines.example import RejectedRow
from data_pipelines.sources.part import BadRow, Part
from data_pipelines.sources.raw.row import RawRow

OPTIONS = ("negative", "positive")
LABEL_OF_SUFFIX = {".neg": "0", ".pos": "1"}


def sst2(line: str) -> RawRow:
    """SST-2 (Socher et al. 2013) as `0|1 sentence`."""
    label, _, text = line.strip().partition(" ")
    if label not in ("0", "1") or not text.strip():
        raise BadRow("not 0 or 1 and a sentence")
    text = text.strip()
    return RawRow(
        columns={"sentence": text, "text": text, "label": int(label)},
        question=text,
        answer=OPTIONS[int(label)],
        options=OPTIONS,
    )


def by_file(part: Part) -> Iterator[tuple[int, Any]]:
    """Rotten Tomatoes (Pang & Lee 2005): a sentence a line, the label is the file's ending."""
    label = LABEL_OF_SUFFIX[part.path.suffix]
    for row, line in part.lines():
        yield row, line if isinstance(line, RejectedRow) else f"{label} {line}"
