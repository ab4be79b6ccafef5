"""The tables: models, their versions, evaluations, and every change of stage."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Float, ForeignKey, Index, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.schema import UniqueConstraint


class Stage(StrEnum):
    """Where a version stands. A model has at most one champion."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    ARCHIVED = "archived"


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Base of the mapped classes."""


class Model(Base):
    """A name under which versions compete."""

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    versions: Mapped[list[Version]] = relationship(back_populates="model")


class Version(Base):
    """One trained and evaluated run. `digest` makes registering it again a no-op."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("model_id", "number"),
        UniqueConstraint("model_id", "digest"),
        # The database itself refuses a second champion, whoever asks.
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
    """The run's name in params.yaml."""
    digest: Mapped[str] = mapped_column(String(64))
    stage: Mapped[str] = mapped_column(String(20), default=Stage.CANDIDATE)
    tuned: Mapped[bool]
    total_parameters: Mapped[int] = mapped_column(BigInteger)
    active_parameters: Mapped[int] = mapped_column(BigInteger)
    flops_per_token: Mapped[float] = mapped_column(Float)
    training_flops: Mapped[float] = mapped_column(Float)
    training_seconds: Mapped[float] = mapped_column(Float)
    run_record: Mapped[dict[str, Any]] = mapped_column(JSON)
    artifact: Mapped[str] = mapped_column(String(1000))
    """Folder with weights/, tokenizer/ and the records."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    model: Mapped[Model] = relationship(back_populates="versions")
    evaluation: Mapped[Evaluation] = relationship(back_populates="version")
    transitions: Mapped[list[Transition]] = relationship(
        back_populates="version", order_by="Transition.id"
    )


class Evaluation(Base):
    """The scores of a version and the record they come from."""

    __tablename__ = "evaluations"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), unique=True)
    accuracy: Mapped[float] = mapped_column(Float)
    error: Mapped[float] = mapped_column(Float)
    chance: Mapped[float] = mapped_column(Float)
    normalised: Mapped[float] = mapped_column(Float)
    partial: Mapped[bool]
    items: Mapped[int]
    record: Mapped[dict[str, Any]] = mapped_column(JSON)
    version: Mapped[Version] = relationship(back_populates="evaluation")


class Transition(Base):
    """A change of stage: when, by whom, why, and on what evidence."""

    __tablename__ = "transitions"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"))
    from_stage: Mapped[str | None] = mapped_column(String(20))
    to_stage: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    actor: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(String(2000))
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    version: Mapped[Version] = relationship(back_populates="transitions")
