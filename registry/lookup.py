"""Rows by name and number, and the lock that serialises decisions about a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from registry.errors import InvalidName, UnknownVersion
from registry.tables import (
    CHAMPION,
    AliasRow,
    ModelRow,
    RegistryBase,
    RunRow,
    VersionRow,
)

MAX_NAME = 200
"""Longest name of a model, in characters."""


def find_model(session: Session, name: str) -> ModelRow:
    """Return a model's row.

    Raises:
        UnknownVersion: the model does not exist; the text lists the registered models.
    """
    model = session.scalar(select(ModelRow).where(ModelRow.name == name))
    if model is None:
        names = session.scalars(select(ModelRow.name).order_by(ModelRow.name).limit(20))
        raise UnknownVersion(f"unknown model {name!r}; registered: {', '.join(names) or 'none'}")
    return model


def insert_new_row(session: Session, table: type[RegistryBase], values: Mapping[str, Any]) -> None:
    """Insert a row, unless one with its unique values exists or another process inserts it."""
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    session.execute(insert(table).values(values).on_conflict_do_nothing())


def lock_model(session: Session, name: str, *, create: bool = False) -> ModelRow:
    """Lock a model's row until the transaction ends.

    PostgreSQL locks the row (SELECT … FOR UPDATE); SQLite has locked the database at BEGIN.

    Args:
        session: the open transaction.
        name: the registered model.
        create: whether to create the model if it does not exist.

    Raises:
        UnknownVersion: the model does not exist.
        InvalidName: `create`, and the name is empty, too long or not printable.
    """
    if create:
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or name != name.strip():
            raise InvalidName(
                f"registry.model: {name[:50]!r} is not a name; expected 1 to {MAX_NAME} printable "
                "characters without spaces around them"
            )
        insert_new_row(session, ModelRow, {"name": name, "description": ""})
    model = session.scalar(select(ModelRow).where(ModelRow.name == name).with_for_update())
    return model or find_model(session, name)


def find_version(session: Session, model: ModelRow, number: int) -> VersionRow:
    """Return a version's row.

    Raises:
        UnknownVersion: the version does not exist.
    """
    query = select(VersionRow).where(VersionRow.model_id == model.id, VersionRow.number == number)
    version = session.scalar(query) if 0 < number < 2**31 else None
    if version is None:
        numbers = session.scalars(
            select(VersionRow.number)
            .where(VersionRow.model_id == model.id)
            .order_by(VersionRow.number.desc())
            .limit(20)
        )
        listed = ", ".join(str(n) for n in sorted(numbers)) or "none"
        raise UnknownVersion(f"model {model.name!r} has no version {number}; registered: {listed}")
    return version


def find_champion(session: Session, model_name: str) -> VersionRow | None:
    """Return the row of a model's champion; None without a champion or without the model."""
    return session.scalar(
        select(VersionRow)
        .join(AliasRow, AliasRow.version_id == VersionRow.id)
        .join(ModelRow, ModelRow.id == AliasRow.model_id)
        .where(ModelRow.name == model_name, AliasRow.name == CHAMPION)
    )


@dataclass(frozen=True, kw_only=True)
class ModelOverview:
    """A registered model that has versions."""

    name: str
    description: str
    num_versions: int
    newest: int
    """Number of its newest version."""


def list_models(session: Session) -> list[ModelOverview]:
    """Return the models that have versions, the one with the newest registration first."""
    newest_id = func.max(VersionRow.id)
    rows = session.execute(
        select(ModelRow.name, ModelRow.description, func.count(), func.max(VersionRow.number))
        .join(VersionRow, VersionRow.model_id == ModelRow.id)
        .group_by(ModelRow.id, ModelRow.name, ModelRow.description)
        .order_by(newest_id.desc())
    )
    return [
        ModelOverview(name=name, description=description, num_versions=count, newest=newest)
        for name, description, count, newest in rows
    ]


def is_current_version() -> ColumnElement[bool]:
    """Return the condition that a version is champion, or the newest of its run and seed."""
    newest = (
        select(func.max(VersionRow.id))
        .join(RunRow, RunRow.id == VersionRow.run_id)
        .group_by(VersionRow.model_id, RunRow.name, RunRow.seed)
    )
    champions = select(AliasRow.version_id).where(AliasRow.name == CHAMPION)
    return or_(VersionRow.id.in_(newest), VersionRow.id.in_(champions))


def set_alias(session: Session, version: VersionRow, name: str) -> None:
    """Point an alias of the version's model to the version."""
    alias = session.get(AliasRow, (version.model_id, name))
    if alias is None:
        session.add(AliasRow(model_id=version.model_id, name=name, version_id=version.id))
    else:
        alias.version_id = version.id
    session.flush()


def remove_alias(session: Session, model: ModelRow, name: str) -> None:
    """Remove an alias of a model; nothing happens if it does not exist."""
    alias = session.get(AliasRow, (model.id, name))
    if alias is not None:
        session.delete(alias)
        session.flush()
