"""Fields of a condition: names, kinds, units and the columns that they stand for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from registry.errors import InvalidQuery
from registry.tables import (
    EvaluationRow,
    ModelRow,
    RunRow,
    VersionRow,
    VersionState,
    VersionStateRow,
)


class FieldKind(StrEnum):
    """What a field can be compared with."""

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "true or false"
    TIME = "time"
    SCORE = "score"
    """An interval: `>` compares its lower end and `<` its upper end."""
    BARE_SCORE = "score without its interval"
    ALIAS = "alias"
    TAG = "tag"


@dataclass(frozen=True, kw_only=True)
class ColumnField:
    """A field with one value for each version."""

    kind: FieldKind
    column: InstrumentedAttribute[Any]
    divisor: float = 1
    """The field is the column divided by this."""
    choices: tuple[str, ...] = ()

    @property
    def expression(self) -> ColumnElement[Any]:
        """The field's value in SQL, in its unit."""
        return self.column.expression if self.divisor == 1 else self.column / self.divisor


def _number(column: InstrumentedAttribute[Any], divisor: float = 1) -> ColumnField:
    return ColumnField(kind=FieldKind.NUMBER, column=column, divisor=divisor)


def _text(column: InstrumentedAttribute[Any]) -> ColumnField:
    return ColumnField(kind=FieldKind.TEXT, column=column)


def _boolean(column: InstrumentedAttribute[Any]) -> ColumnField:
    return ColumnField(kind=FieldKind.BOOLEAN, column=column)


COLUMN_FIELDS: Mapping[str, ColumnField] = {
    "model": _text(ModelRow.name),
    "version": _number(VersionRow.number),
    "name": _text(RunRow.name),
    "seed": _number(RunRow.seed),
    "tuned": _boolean(RunRow.tuned),
    "moe": _boolean(RunRow.is_moe),
    "total_parameters": _number(RunRow.total_parameters),
    "active_parameters": _number(RunRow.active_parameters),
    "gflops_per_token": _number(RunRow.flops_per_token, 1e9),
    "gflops_per_item": _number(EvaluationRow.flops_per_item, 1e9),
    "training_tflops": _number(RunRow.training_flops, 1e12),
    "cumulative_training_tflops": _number(RunRow.cumulative_training_flops, 1e12),
    "training_seconds": _number(RunRow.training_seconds),
    "commit": _text(RunRow.git_commit),
    "data_version": _text(RunRow.data_version),
    "partial": _boolean(EvaluationRow.partial),
    "num_items": _number(EvaluationRow.num_items),
    "items_digest": _text(EvaluationRow.items_digest),
    "state": ColumnField(
        kind=FieldKind.TEXT, column=VersionStateRow.state, choices=tuple(VersionState)
    ),
    "pinned": _boolean(VersionStateRow.is_pinned),
    "description": _text(VersionStateRow.description),
    "created": ColumnField(kind=FieldKind.TIME, column=VersionRow.created_at),
}
"""Fields with one value for each version, by name."""
_OTHER_KINDS = {"score": FieldKind.SCORE, "alias": FieldKind.ALIAS}
_PREFIXES = {
    "suite.": FieldKind.SCORE,
    "task.": FieldKind.SCORE,
    "score.": FieldKind.BARE_SCORE,
    "tag.": FieldKind.TAG,
}
FIELD_NAMES = (*COLUMN_FIELDS, *_OTHER_KINDS, *(f"{prefix}NAME" for prefix in _PREFIXES))


@dataclass(frozen=True, kw_only=True)
class FieldReference:
    """A field of a condition."""

    name: str
    """As written, e.g. `suite.mmlu`."""
    kind: FieldKind

    @property
    def key(self) -> str:
        """The part after the first dot: a suite, task or tag."""
        return self.name.partition(".")[2]

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names in the table `metrics`, for a score."""
        if self.kind is FieldKind.BARE_SCORE:
            return (f"suite.{self.key}", f"task.{self.key}")
        return (self.name,) if self.kind is FieldKind.SCORE else ()

    @property
    def column(self) -> ColumnField:
        """The column of a field with one value for each version."""
        return COLUMN_FIELDS[self.name]


def resolve_field(name: str, where: str) -> FieldReference:
    """Return the field of a name.

    Args:
        name: as written.
        where: the place, for the error.

    Raises:
        InvalidQuery: there is no such field; the text names the nearest.
    """
    if name in COLUMN_FIELDS:
        return FieldReference(name=name, kind=COLUMN_FIELDS[name].kind)
    if name in _OTHER_KINDS:
        return FieldReference(name=name, kind=_OTHER_KINDS[name])
    prefix, dot, key = name.partition(".")
    if dot and key and f"{prefix}." in _PREFIXES:
        return FieldReference(name=name, kind=_PREFIXES[f"{prefix}."])
    shown = name if len(name) <= 50 else name[:50] + "…"
    raise InvalidQuery(f"{where}: unknown field {shown!r}; {_suggestion(prefix, dot, key)}")


def _suggestion(prefix: str, dot: str, key: str) -> str:
    if dot:
        names = [known.removesuffix(".") for known in _PREFIXES]
        matches = difflib.get_close_matches(prefix, names, 1, 0.5)
        if matches:
            return f"did you mean '{matches[0]}.{key or 'NAME'}'?"
    matches = difflib.get_close_matches(prefix, [*COLUMN_FIELDS, *_OTHER_KINDS], 1, 0.5)
    if matches:
        return f"did you mean {matches[0]!r}?"
    return f"expected one of {', '.join(FIELD_NAMES)}"
