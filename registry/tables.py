"""Database tables: models, their versions, evaluations, and every change of stage."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Float, ForeignKey, Index, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.schema import UniqueConstraint


class VersionStage(StrEnum):
    """Stage of a version. A model has at most one champion."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    ARCHIVED = "archived"


def utc_now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


class RegistryBase(DeclarativeBase):
    """Base of the mapped classes."""


class ModelRow(RegistryBase):
    """A registered model: a name with numbered versions."""

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    versions: Mapped[list[VersionRow]] = relationship(back_populates="model")


class VersionRow(RegistryBase):
    """A trained and evaluated run. `digest` makes a second registration of it a no-op."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("model_id", "number"),
        UniqueConstraint("model_id", "digest"),
        # The database rejects a second champion, whichever client writes it.
        Index(
            "one_champion",
            "model_id",
            unique=True,
            sqlite_where=text("stage = 'champion'"),
            postgresql_where=text("stage = 'champion'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    number: Mapped[int]
    name: Mapped[str] = mapped_column(String(200))
    """Name of the run in params.yaml."""
    digest: Mapped[str] = mapped_column(String(64))
    stage: Mapped[str] = mapped_column(String(20), default=VersionStage.CANDIDATE)
    tuned: Mapped[bool]
    total_parameters: Mapped[int] = mapped_column(BigInteger)
    active_parameters: Mapped[int] = mapped_column(BigInteger)
    flops_per_token: Mapped[float] = mapped_column(Float)
    training_flops: Mapped[float] = mapped_column(Float)
    training_seconds: Mapped[float] = mapped_column(Float)
    run_record: Mapped[dict[str, Any]] = mapped_column(JSON)
    artifact: Mapped[str] = mapped_column(String(1000))
    """Folder with weights/, tokenizer/ and the records."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
    model: Mapped[ModelRow] = relationship(back_populates="versions")
    evaluation: Mapped[EvaluationRow] = relationship(back_populates="version")
    transitions: Mapped[list[TransitionRow]] = relationship(
        back_populates="version", order_by="TransitionRow.id"
    )


class EvaluationRow(RegistryBase):
    """The scores of a version, and the evaluation record that they are part of.

    The columns `error`, `chance` and `items` have the names that release 0.1.0 gave them.
    """

    __tablename__ = "evaluations"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), unique=True)
    accuracy: Mapped[float] = mapped_column(Float)
    standard_error: Mapped[float] = mapped_column("error", Float)
    random_score: Mapped[float] = mapped_column("chance", Float)
    normalised: Mapped[float] = mapped_column(Float)
    partial: Mapped[bool]
    num_items: Mapped[int] = mapped_column("items")
    record: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The evaluation record, with the measured `speed`."""
    version: Mapped[VersionRow] = relationship(back_populates="evaluation")


class TransitionRow(RegistryBase):
    """A change of stage: time, actor, reason, and the gates' results as evidence."""

    __tablename__ = "transitions"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"))
    from_stage: Mapped[str | None] = mapped_column(String(20))
    to_stage: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
    actor: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(String(2000))
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    version: Mapped[VersionRow] = relationship(back_populates="transitions")
