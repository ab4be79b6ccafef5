"""Parts of a report, independent of its format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ChartKind = Literal["bars", "intervals", "points"]


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A heading of level 1, 2 or 3."""

    text: str
    level: int = 2


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True, kw_only=True)
class BulletList:
    """A list of short texts."""

    items: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class DataTable:
    """A table; columns whose name starts with ">" are right-aligned."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class ChartValue:
    """A value with its interval in a chart, all in percent or points."""

    series: str
    """Colour and legend entry, e.g. a model."""
    category: str
    """Position, e.g. an arm or a claim."""
    value: float
    low: float
    high: float
    x: float = 0.0
    """Position on a numeric axis, of charts of points."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of values with intervals."""

    kind: ChartKind
    title: str
    unit: str
    values: Sequence[ChartValue]
    reference: float | None = None
    """Value of a line across the chart, e.g. random answers."""
    reference_label: str = ""
    x_label: str = ""


Block = Heading | Paragraph | BulletList | DataTable | Chart
