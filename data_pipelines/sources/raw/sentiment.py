"""Film reviews, negative or positive: SST-2 and Rotten Tomatoes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_pipelines.example import RejectedRow
from data_pipelines.sources.part import InvalidRow, Part
from data_pipelines.sources.raw.row import RawRow

OPTIONS = ("negative", "positive")
LABEL_BY_SUFFIX = {".neg": "0", ".pos": "1"}


def sst2(line: str) -> RawRow:
    """Convert a line of SST-2 (Socher et al. 2013): `0|1 sentence`.

    Raises:
        InvalidRow: The label is not 0 or 1, or the sentence is missing.
    """
    label, _, text = line.strip().partition(" ")
    if label not in ("0", "1") or not text.strip():
        raise InvalidRow("not 0 or 1 followed by a sentence")
    text = text.strip()
    return RawRow(
        columns={"sentence": text, "text": text, "label": int(label)},
        question=text,
        answer=OPTIONS[int(label)],
        options=OPTIONS,
    )


def read_rotten_tomatoes(part: Part) -> Iterator[tuple[int, Any]]:
    """Yield the lines of Rotten Tomatoes (Pang & Lee 2005) in the format of SST-2.

    The suffix of the file name gives the label of all its lines.
    """
    label = LABEL_BY_SUFFIX[part.path.suffix]
    for row, line in part.lines():
        yield row, line if isinstance(line, RejectedRow) else f"{label} {line}"
