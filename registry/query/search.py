"""Pages of versions that match a condition: columns only, no record is parsed, two queries."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, func, literal, null, select, union_all
from sqlalchemy.orm import Session

from registry.errors import InvalidQuery
from registry.lookup import find_model
from registry.query.fields import FieldReference
from registry.query.parser import fields_of, parse_condition
from registry.query.sql import (
    JOINED,
    SEARCHED,
    Statement,
    join_tables,
    search_condition,
    sort_expression,
    tables_of,
    to_sql,
)
from registry.tables import (
    AliasRow,
    EvaluationRow,
    MetricRow,
    ModelRow,
    RegistryBase,
    RunRow,
    TagRow,
    VersionRow,
    VersionState,
    VersionStateRow,
)
from registry.version_summary import ScoreInterval, VersionSummary

DEFAULT_LIMIT = 50


@dataclass(frozen=True, kw_only=True)
class VersionQuery:
    """Which versions to list, and in which order."""

    where: str = ""
    """A condition; see `registry.query.parser`."""
    text: str = ""
    """Text that names, aliases, descriptions, tags or notes contain."""
    sort: str = ""
    """Field to sort by, with a leading `-` in reverse; empty: newest first."""
    model: str | None = None
    """None: all models."""
    limit: int = DEFAULT_LIMIT
    offset: int = 0


@dataclass(frozen=True, kw_only=True)
class VersionPage:
    """A page of the versions that match a query."""

    versions: tuple[VersionSummary, ...]
    num_matches: int
    """Of all pages; 0 for a page behind the last."""


def search_versions(session: Session, query: VersionQuery) -> VersionPage:
    """Return a page of the versions that match a query.

    Raises:
        InvalidQuery: the condition, text, sort order, limit or offset is not valid.
        UnknownVersion: the model does not exist.
    """
    if query.limit < 1 or query.offset < 0 or query.limit + query.offset >= 2**31:
        raise InvalidQuery(
            f"page: limit {query.limit} and offset {query.offset} are not valid; expected a limit "
            "of 1 or more and an offset of 0 or more"
        )
    conditions: list[ColumnElement[bool]] = []
    fields: list[FieldReference] = []
    if query.where.strip():
        condition = parse_condition(query.where)
        conditions.append(to_sql(condition))
        fields += fields_of(condition)
    if query.text.strip():
        conditions.append(search_condition(query.text))
    order: list[ColumnElement[Any]] = []
    if query.sort.strip():
        expression, field, is_descending = sort_expression(query.sort)
        fields.append(field)
        order.append((expression.desc() if is_descending else expression.asc()).nulls_last())
    order.append(VersionRow.id.desc())
    metric_names = list(dict.fromkeys(name for field in fields for name in field.metric_names))
    tables = tables_of(fields) | ({*SEARCHED} if query.text.strip() else set())
    rows = session.execute(_page(query, tables, conditions, order)).all()
    if not rows:
        if query.model is not None:
            find_model(session, query.model)
        _check_scores(session, fields)
        return VersionPage(versions=(), num_matches=0)
    details = _details(session, rows, metric_names)
    summaries = tuple(_summary(row, details[row.id]) for row in rows)
    return VersionPage(versions=summaries, num_matches=rows[0].num_matches)


def _page(
    query: VersionQuery,
    tables: Collection[type[RegistryBase]],
    conditions: Sequence[ColumnElement[bool]],
    order: Sequence[ColumnElement[Any]],
) -> Statement:
    """Return the statement for the columns of a page, and the number of matches.

    The page is selected with the tables that conditions and order refer to only.
    """
    matching: Statement = select(VersionRow.id, func.count().over().label("num_matches"))
    matching = join_tables(matching.select_from(VersionRow), tables).where(*conditions)
    if query.model is not None:
        model = select(ModelRow.id).where(ModelRow.name == query.model).scalar_subquery()
        matching = matching.where(VersionRow.model_id == model)
    page = matching.order_by(*order).limit(query.limit).offset(query.offset).subquery("page")
    columns = (
        page.c.num_matches,
        VersionRow.id,
        VersionRow.number,
        VersionRow.artifact,
        VersionRow.created_at,
        ModelRow.name.label("model"),
        *(column for column in RunRow.__table__.columns if column.name not in ("id", "record")),
        EvaluationRow.id.label("evaluation_id"),
        *(getattr(EvaluationRow, name) for name in _EVALUATION_COLUMNS),
        VersionStateRow.state,
        VersionStateRow.is_pinned,
        VersionStateRow.description,
    )
    versions = select(*columns).select_from(page).join(VersionRow, VersionRow.id == page.c.id)
    return join_tables(versions, JOINED).order_by(*order)


_EVALUATION_COLUMNS = (
    "accuracy",
    "standard_error",
    "random_score",
    "normalised",
    "partial",
    "num_items",
    "flops_per_item",
    "items_digest",
)


@dataclass(frozen=True)
class _Details:
    """What a version has several times."""

    aliases: list[str]
    tags: dict[str, str]
    scores: dict[str, ScoreInterval]


def _details(
    session: Session, rows: Sequence[Row[Any]], metric_names: Sequence[str]
) -> Mapping[int, _Details]:
    """Return aliases, tags and the scores of these names, by version id."""
    ids = [row.id for row in rows]
    version_by_evaluation = {row.evaluation_id: row.id for row in rows}
    no_score = (null(), null(), null())
    parts: list[Statement] = [
        select(AliasRow.version_id, literal("alias"), AliasRow.name, literal(""), *no_score).where(
            AliasRow.version_id.in_(ids)
        ),
        select(TagRow.version_id, literal("tag"), TagRow.key, TagRow.value, *no_score).where(
            TagRow.version_id.in_(ids)
        ),
    ]
    if metric_names:
        score = (MetricRow.value, MetricRow.low, MetricRow.high)
        parts.insert(
            0,
            select(
                MetricRow.evaluation_id, literal("score"), MetricRow.name, literal(""), *score
            ).where(
                MetricRow.evaluation_id.in_(version_by_evaluation),
                MetricRow.name.in_(metric_names),
            ),
        )
    details: defaultdict[int, _Details] = defaultdict(lambda: _Details([], {}, {}))
    for key, kind, name, text, value, low, high in session.execute(union_all(*parts)):
        if kind == "score":
            interval = ScoreInterval(value=value, low=low, high=high)
            details[version_by_evaluation[key]].scores[name] = interval
        elif kind == "tag":
            details[key].tags[name] = text
        else:
            details[key].aliases.append(name)
    return details


def _summary(row: Row[Any], details: _Details) -> VersionSummary:
    return VersionSummary(
        model=row.model,
        version=row.number,
        name=row.name,
        seed=row.seed,
        state=VersionState(row.state),
        aliases=tuple(sorted(details.aliases)),
        is_pinned=row.is_pinned,
        description=row.description,
        tags=dict(sorted(details.tags.items())),
        tuned=row.tuned,
        is_moe=row.is_moe,
        total_parameters=row.total_parameters,
        active_parameters=row.active_parameters,
        flops_per_token=row.flops_per_token,
        training_flops=row.training_flops,
        cumulative_training_flops=row.cumulative_training_flops,
        training_seconds=row.training_seconds,
        git_commit=row.git_commit,
        data_version=row.data_version,
        accuracy=row.accuracy,
        standard_error=row.standard_error,
        random_score=row.random_score,
        normalised=row.normalised,
        partial=row.partial,
        num_items=row.num_items,
        items_digest=row.items_digest,
        flops_per_item=row.flops_per_item,
        artifact=row.artifact,
        created_at=row.created_at,
        scores=dict(sorted(details.scores.items())),
    )


def _check_scores(session: Session, fields: Sequence[FieldReference]) -> None:
    """Check that some version has each score: a mistyped suite would match no version.

    Raises:
        InvalidQuery: no version has a score of this name.
    """
    for field in fields:
        names = field.metric_names
        known = select(MetricRow.name).where(MetricRow.name.in_(names)).limit(1)
        if not names or session.scalar(known) is not None:
            continue
        newest = select(func.max(EvaluationRow.id)).scalar_subquery()
        query = select(MetricRow.name).where(MetricRow.evaluation_id == newest)
        registered = list(session.scalars(query))
        if registered:
            raise InvalidQuery(_unknown_score(field, registered))


def _unknown_score(field: FieldReference, registered: Sequence[str]) -> str:
    """Describe a score that no version has, with the nearest names of the newest evaluation."""
    nearest = difflib.get_close_matches(field.metric_names[0], registered, 3, 0.3)
    return (
        f"condition: no version has the score {field.name!r}; the newest evaluation has "
        f"{', '.join(nearest or registered[:10])}"
    )
