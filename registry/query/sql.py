"""Translation of conditions to SQL expressions with bound parameters.

They refer to the tables that `join_tables` joins: each has one row for a version, of its
evaluations the newest. Every expression is true or false, never null.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    Select,
    SQLColumnExpression,
    and_,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from registry.errors import InvalidQuery
from registry.query.case import contains
from registry.query.fields import COLUMN_FIELDS, FieldKind, FieldReference, resolve_field
from registry.query.parser import (
    Condition,
    Conjunction,
    Disjunction,
    FieldTest,
    HasTag,
    Negation,
    Value,
)
from registry.query.tokens import check_characters
from registry.tables import (
    AliasRow,
    EvaluationRow,
    MetricRow,
    ModelRow,
    NoteRow,
    RegistryBase,
    RunRow,
    TagRow,
    VersionRow,
    VersionStateRow,
)

Statement = Select[*tuple[Any, ...]]

MAX_SEARCH_LENGTH = 1_000
"""Longest text to search for, in characters."""
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


_other = aliased(EvaluationRow)
NEWEST_EVALUATION = (
    select(func.max(_other.id))
    .where(_other.version_id == VersionRow.id)
    .correlate(VersionRow)
    .scalar_subquery()
)
"""Id of a version's newest evaluation, the one that counts."""
_JOINS: Mapping[type[RegistryBase], ColumnElement[bool]] = {
    ModelRow: ModelRow.id == VersionRow.model_id,
    RunRow: RunRow.id == VersionRow.run_id,
    VersionStateRow: VersionStateRow.version_id == VersionRow.id,
    EvaluationRow: EvaluationRow.id == NEWEST_EVALUATION,
}
JOINED = frozenset(_JOINS)
"""Tables with one row for each version."""
SEARCHED = (ModelRow, RunRow, VersionStateRow)
"""Tables that `search_condition` refers to."""


def join_tables(statement: Statement, tables: Collection[type[RegistryBase]]) -> Statement:
    """Join tables of JOINED to a statement about versions."""
    for table, condition in _JOINS.items():
        if table in tables:
            statement = statement.join(table, condition)
    return statement


def tables_of(fields: Iterable[FieldReference]) -> set[type[RegistryBase]]:
    """Return the tables that conditions and orders by these fields refer to."""
    columns = [field.column.column for field in fields if field.name in COLUMN_FIELDS]
    return {table for table in JOINED if any(column.class_ is table for column in columns)}


def to_sql(condition: Condition) -> ColumnElement[bool]:
    """Translate a condition."""
    if isinstance(condition, Negation):
        return not_(to_sql(condition.operand))
    if isinstance(condition, Conjunction):
        return and_(*(to_sql(operand) for operand in condition.operands))
    if isinstance(condition, Disjunction):
        return or_(*(to_sql(operand) for operand in condition.operands))
    if isinstance(condition, HasTag):
        tags = select(TagRow.version_id).where(TagRow.key == condition.field.key)
        return VersionRow.id.in_(tags)
    return _test(condition)


def search_condition(text: str) -> ColumnElement[bool]:
    """Return the condition that names, aliases, descriptions, tags or notes contain a text.

    Raises:
        InvalidQuery: the text is empty or too long, or has a character that no text may have.
    """
    text = text.strip()
    if not text or len(text) > MAX_SEARCH_LENGTH:
        raise InvalidQuery(
            f"text to search for: it has {len(text):,} characters; expected 1 to "
            f"{MAX_SEARCH_LENGTH:,}"
        )
    check_characters(text, "text to search for")
    columns = (ModelRow.name, ModelRow.description, RunRow.name, VersionStateRow.description)
    rows = (
        (AliasRow.version_id, (AliasRow.name,)),
        (TagRow.version_id, (TagRow.key, TagRow.value)),
        (NoteRow.version_id, (NoteRow.text, NoteRow.author)),
    )
    return or_(
        *(contains(column, text) for column in columns),
        *(
            VersionRow.id.in_(select(key).where(or_(*(contains(c, text) for c in texts))))
            for key, texts in rows
        ),
    )


def sort_expression(sort: str) -> tuple[ColumnElement[Any], FieldReference, bool]:
    """Return what to sort by.

    Args:
        sort: a field; with a leading `-` in reverse order.

    Returns:
        The expression, the field, and whether larger values come first: of scores the lower end
        of the interval, highest first, and times newest first; of others the smallest first.

    Raises:
        InvalidQuery: there is no such field, or it has no order that a decision may use.
    """
    name = sort.strip()
    is_reversed = name.startswith("-")
    field = resolve_field(name.removeprefix("-"), "sort order")
    if field.kind is FieldKind.SCORE:
        low = select(MetricRow.low).where(
            MetricRow.evaluation_id == NEWEST_EVALUATION, MetricRow.name == field.name
        )
        return low.correlate(VersionRow).scalar_subquery(), field, not is_reversed
    if field.kind is FieldKind.BARE_SCORE:
        raise InvalidQuery(
            f"sort order: {field.name!r} is a score without its interval, which does not decide "
            f"an order; use 'suite.{field.key}' or 'task.{field.key}', its lower end"
        )
    if field.kind in (FieldKind.TAG, FieldKind.ALIAS):
        raise InvalidQuery(
            f"sort order: {field.name!r} has several values or none; use one of "
            f"{', '.join(COLUMN_FIELDS)}, score, suite.NAME, task.NAME"
        )
    is_newest_first = field.kind is FieldKind.TIME
    return field.column.expression, field, is_newest_first != is_reversed


def _test(test: FieldTest) -> ColumnElement[bool]:
    kind = test.field.kind
    if kind is FieldKind.SCORE:
        bound = MetricRow.low if test.operator in (">", ">=") else MetricRow.high
        return _score_test(test, bound)
    if kind is FieldKind.BARE_SCORE:
        return _score_test(test, MetricRow.value)
    if kind is FieldKind.ALIAS:
        return VersionRow.id.in_(
            select(AliasRow.version_id).where(_text_test(AliasRow.name, test.operator, test.value))
        )
    if kind is FieldKind.TAG:
        matches = _text_test(TagRow.value, test.operator, test.value)
        tags = select(TagRow.version_id).where(TagRow.key == test.field.key, matches)
        return VersionRow.id.in_(tags)
    field = test.field.column
    if kind is FieldKind.TEXT:
        return _text_test(field.column, test.operator, test.value)
    if kind is FieldKind.BOOLEAN:
        return field.expression.is_(test.value)
    matches = _COMPARE[test.operator](field.expression, _bound(test.value))
    # A value that is unknown is not equal to, below or above anything.
    return and_(field.column.is_not(None), matches)


def _score_test(test: FieldTest, bound: SQLColumnExpression[float]) -> ColumnElement[bool]:
    evaluations = select(MetricRow.evaluation_id).where(
        MetricRow.name.in_(test.field.metric_names),
        _COMPARE[test.operator](bound, _bound(test.value)),
    )
    return NEWEST_EVALUATION.in_(evaluations)


def _text_test(column: SQLColumnExpression[Any], symbol: str, value: Value) -> ColumnElement[bool]:
    return contains(column, str(value)) if symbol == "~" else column == str(value)


def _bound(value: Value) -> Any:
    """Return a bound parameter; a number may be larger than those of the column's type."""
    if isinstance(value, int | float):
        return literal(value, BigInteger() if isinstance(value, int) else Float())
    return value
