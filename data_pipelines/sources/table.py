"""Loader of each training format of the catalog.

To add a format, add a module to this folder and a line to the table below.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from data_pipelines.example import Example, RejectedRow
from data_pipelines.params import ReadParams
from data_pipelines.sources import cot, flan_export, muffin, niv2, t0, text
from data_pipelines.sources.part import Part


class Loader(Protocol):
    """The interface of the loader modules of this folder."""

    LINES: bool
    """Whether each row is one line, so that large files can be read in several parts."""

    def load(self, part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]: ...


LOADERS: dict[str, Loader] = {
    "cot_tsv": cot,
    "niv2_json": niv2,
    "flan_export": flan_export,
    "raw": muffin,
    "promptsource": t0,
    "text": text,
}
