"""Database tables: what the registry knows about models, versions, evaluations and decisions.

Rows of the tables in IMMUTABLE never change and are never deleted: triggers of the database reject
it, whichever client tries. What may change (state, aliases, tags, descriptions) has tables of its
own, and every change is an event.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Float,
    ForeignKey,
    Index,
    String,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.schema import UniqueConstraint

CHAMPION = "champion"
"""The alias of a model's champion. A model has one row for each alias, so at most one champion."""
IMMUTABLE = (
    "datasets",
    "runs",
    "versions",
    "evaluations",
    "speeds",
    "metrics",
    "gate_verdicts",
    "approvals",
    "approval_decisions",
    "notes",
    "events",
)
"""Tables whose rows are only ever added."""


class VersionState(StrEnum):
    """State of a version, apart from its aliases."""

    REGISTERED = "registered"
    REJECTED = "rejected"
    """A person rejected or demoted it: no program promotes it."""
    ARCHIVED = "archived"
    """It was champion until another version replaced it."""


def utc_now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


def as_utc(at: datetime) -> datetime:
    """Return a time of the database in UTC.

    SQLite returns it without time zone, PostgreSQL in that of the session.
    """
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


class RegistryBase(DeclarativeBase):
    """Base of the mapped classes."""


class ModelRow(RegistryBase):
    """A registered model: a name with numbered versions."""

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    description: Mapped[str] = mapped_column(Text, default="")


class DatasetRow(RegistryBase):
    """The data of a mixture: hashes, reports and licences, once for each data version."""

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(primary_key=True)
    data_version: Mapped[str] = mapped_column(String(200), unique=True)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)


class RunRow(RegistryBase):
    """A training run: its record, with the values that queries filter by as columns."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the run's name and weights."""
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id"))
    name: Mapped[str] = mapped_column(String(200), index=True)
    """Name of the run in params.yaml."""
    seed: Mapped[int] = mapped_column(BigInteger)
    tuned: Mapped[bool]
    is_moe: Mapped[bool]
    total_parameters: Mapped[int] = mapped_column(BigInteger)
    active_parameters: Mapped[int] = mapped_column(BigInteger)
    flops_per_token: Mapped[float] = mapped_column(Float)
    training_flops: Mapped[float] = mapped_column(Float)
    cumulative_training_flops: Mapped[float | None] = mapped_column(Float)
    """With the runs that it starts from; null if one of them is unknown."""
    training_seconds: Mapped[float | None] = mapped_column(Float)
    """Null if the execution of the run was not recorded."""
    git_commit: Mapped[str] = mapped_column(String(200))
    data_version: Mapped[str] = mapped_column(String(200))
    record: Mapped[dict[str, Any]] = mapped_column(JSON)
    dataset: Mapped[DatasetRow | None] = relationship()


class VersionRow(RegistryBase):
    """A trained and evaluated run. `digest` makes a second registration of it a no-op."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("model_id", "number"),
        UniqueConstraint("model_id", "digest"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    number: Mapped[int]
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    digest: Mapped[str] = mapped_column(String(64))
    artifact: Mapped[str] = mapped_column(String(1000))
    """The artifact with weights, tokenizer and records."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
    model: Mapped[ModelRow] = relationship()
    run: Mapped[RunRow] = relationship()
    status: Mapped[VersionStateRow] = relationship(back_populates="version")
    aliases: Mapped[list[AliasRow]] = relationship(order_by="AliasRow.name", viewonly=True)
    evaluations: Mapped[list[EvaluationRow]] = relationship(
        back_populates="version", order_by="EvaluationRow.id"
    )
    tags: Mapped[list[TagRow]] = relationship(order_by="TagRow.key", viewonly=True)

    @property
    def evaluation(self) -> EvaluationRow:
        """The newest evaluation, which is the one that counts."""
        return self.evaluations[-1]


class VersionStateRow(RegistryBase):
    """What people may change about a version."""

    __tablename__ = "version_states"

    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(20), default=VersionState.REGISTERED)
    is_pinned: Mapped[bool] = mapped_column(default=False)
    """Programs do not replace a pinned champion, and its artifacts are never removed."""
    description: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[VersionRow] = relationship(back_populates="status")


class AliasRow(RegistryBase):
    """A name for a version. The primary key allows one version for each name of a model."""

    __tablename__ = "aliases"

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    version: Mapped[VersionRow] = relationship()


class EvaluationRow(RegistryBase):
    """The scores of a version on a set of items, and the evaluation record they are part of."""

    __tablename__ = "evaluations"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    accuracy: Mapped[float] = mapped_column(Float)
    standard_error: Mapped[float] = mapped_column(Float)
    random_score: Mapped[float] = mapped_column(Float)
    normalised: Mapped[float] = mapped_column(Float)
    partial: Mapped[bool]
    num_items: Mapped[int]
    flops_per_item: Mapped[float] = mapped_column(Float)
    items_digest: Mapped[str] = mapped_column(String(12))
    """Equal for evaluations of exactly the same items."""
    samples_sha256: Mapped[str] = mapped_column(String(64))
    artifact: Mapped[str] = mapped_column(String(1000))
    """The artifact with evaluation.json and samples.parquet."""
    record: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
    version: Mapped[VersionRow] = relationship(back_populates="evaluations")
    speeds: Mapped[list[SpeedRow]] = relationship(order_by="SpeedRow.id")


class SpeedRow(RegistryBase):
    """A measured time per item of an evaluation; the newest counts."""

    __tablename__ = "speeds"

    id: Mapped[int] = mapped_column(primary_key=True)
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluations.id"), index=True)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)


class MetricRow(RegistryBase):
    """A score of an evaluation, in percent, with its 95 % interval."""

    __tablename__ = "metrics"
    __table_args__ = (
        # It has every column, so that a search by score reads the index only.
        Index("metrics_by_name", "name", "evaluation_id", "low", "high", "value"),
        {"sqlite_with_rowid": False},
    )

    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluations.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    """`score` (all suites), `suite.NAME` or `task.NAME`."""
    value: Mapped[float] = mapped_column(Float)
    low: Mapped[float] = mapped_column(Float)
    high: Mapped[float] = mapped_column(Float)


class GateVerdictRow(RegistryBase):
    """The outcome of the gates for a version, with the evaluations that it was decided from."""

    __tablename__ = "gate_verdicts"
    __table_args__ = (Index("verdicts_by_evaluations", "evaluation_id", "champion_evaluation_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluations.id"))
    champion_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"))
    champion_evaluation_id: Mapped[int | None] = mapped_column(ForeignKey("evaluations.id"))
    candidate_evaluations: Mapped[list[int]] = mapped_column(JSON)
    """Evaluations of all seeds of the version's recipe, which were tested together."""
    champion_evaluations: Mapped[list[int]] = mapped_column(JSON)
    policy_sha256: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(20))
    """`promoted`, `passed`, `unchanged` or `refused`."""
    alpha_spent: Mapped[float] = mapped_column(Float)
    """Error probability that the paired test used."""
    gates: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    actor: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)


class ApprovalRow(RegistryBase):
    """A request that a person approves the promotion of a version."""

    __tablename__ = "approvals"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    champion_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"))
    """The champion that it would replace."""
    requested_by: Mapped[str] = mapped_column(String(200))
    flow_run: Mapped[str] = mapped_column(String(36), default="")
    """The Prefect flow run that waits for the decision; empty without one."""
    requested_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    version: Mapped[VersionRow] = relationship(foreign_keys=[version_id])
    champion: Mapped[VersionRow | None] = relationship(foreign_keys=[champion_id])
    decision: Mapped[ApprovalDecisionRow | None] = relationship(back_populates="approval")


class ApprovalDecisionRow(RegistryBase):
    """The end of a request. The primary key allows one for each request."""

    __tablename__ = "approval_decisions"

    approval_id: Mapped[int] = mapped_column(ForeignKey("approvals.id"), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(20))
    """`approved`, `declined` or `expired`."""
    actor: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
    approval: Mapped[ApprovalRow] = relationship(back_populates="decision")


class TagRow(RegistryBase):
    """A key and value that people attach to a version."""

    __tablename__ = "tags"

    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[str] = mapped_column(Text, default="")


class NoteRow(RegistryBase):
    """A dated remark about a version."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    author: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)


class EventRow(RegistryBase):
    """A change: what happened to which version, by whom and why. Ordered by `id`, not by clock."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), index=True)
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Numbers of related versions, gates and changed values; depends on `kind`."""
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=utc_now)
    model: Mapped[ModelRow] = relationship()
    version: Mapped[VersionRow | None] = relationship()
