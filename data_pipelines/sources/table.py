"""Which loader reads which format of the catalog. A new format: a file here and a line below."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from data_pipelines.example import Example, RejectedRow
from data_pipelines.params import ReadParams
from data_pipelines.sources import cot, flan_export, muffin, niv2, t0, text
from data_pipelines.sources.part import Part


class Loader(Protocol):
    """A module of this folder."""

    LINES: bool
    """Whether a row is a line, so that a large file may be read in parts."""

    def load(self, part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]: ...


LOADERS: dict[str, Loader] = {
    "cot_tsv": cot,
    "niv2_json": niv2,
    "flan_export": flan_export,
    "raw": muffin,
    "promptsource": t0,
    "text": text,
}
