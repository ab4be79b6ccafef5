"""The tables of schema revision 0002, as the migration creates them. Never changed afterwards."""

from __future__ import annotations

import sqlalchemy as sa

_JSON = sa.JSON
_TIME = sa.DateTime(timezone=True)

metadata = sa.MetaData()
models = sa.Table(
    "models",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("description", sa.Text, nullable=False),
)


def _reference(
    name: str, target: str, *, nullable: bool = False, index: bool = False
) -> sa.Column[int]:
    return sa.Column(name, sa.ForeignKey(f"{target}.id"), nullable=nullable, index=index)


datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("data_version", sa.String(200), nullable=False, unique=True),
    sa.Column("record", _JSON, nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
)
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    _reference("dataset_id", "datasets", nullable=True),
    sa.Column("name", sa.String(200), nullable=False, index=True),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("tuned", sa.Boolean, nullable=False),
    sa.Column("is_moe", sa.Boolean, nullable=False),
    sa.Column("total_parameters", sa.BigInteger, nullable=False),
    sa.Column("active_parameters", sa.BigInteger, nullable=False),
    sa.Column("flops_per_token", sa.Float, nullable=False),
    sa.Column("training_flops", sa.Float, nullable=False),
    sa.Column("cumulative_training_flops", sa.Float),
    sa.Column("training_seconds", sa.Float),
    sa.Column("git_commit", sa.String(200), nullable=False),
    sa.Column("data_version", sa.String(200), nullable=False),
    sa.Column("record", _JSON, nullable=False),
)
versions = sa.Table(
    "versions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("model_id", "models"),
    sa.Column("number", sa.Integer, nullable=False),
    _reference("run_id", "runs"),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("artifact", sa.String(1000), nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.UniqueConstraint("model_id", "number"),
    sa.UniqueConstraint("model_id", "digest"),
)
version_states = sa.Table(
    "version_states",
    metadata,
    sa.Column("version_id", sa.ForeignKey("versions.id"), primary_key=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("is_pinned", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
)
aliases = sa.Table(
    "aliases",
    metadata,
    sa.Column("model_id", sa.ForeignKey("models.id"), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    _reference("version_id", "versions", index=True),
)
evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("version_id", "versions", index=True),
    sa.Column("accuracy", sa.Float, nullable=False),
    sa.Column("standard_error", sa.Float, nullable=False),
    sa.Column("random_score", sa.Float, nullable=False),
    sa.Column("normalised", sa.Float, nullable=False),
    sa.Column("partial", sa.Boolean, nullable=False),
    sa.Column("num_items", sa.Integer, nullable=False),
    sa.Column("flops_per_item", sa.Float, nullable=False),
    sa.Column("items_digest", sa.String(12), nullable=False),
    sa.Column("samples_sha256", sa.String(64), nullable=False),
    sa.Column("artifact", sa.String(1000), nullable=False),
    sa.Column("record", _JSON, nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
)
speeds = sa.Table(
    "speeds",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("evaluation_id", "evaluations", index=True),
    sa.Column("record", _JSON, nullable=False),
    sa.Column("at", _TIME, nullable=False),
)
metrics = sa.Table(
    "metrics",
    metadata,
    sa.Column("evaluation_id", sa.ForeignKey("evaluations.id"), primary_key=True),
    sa.Column("name", sa.String(300), primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("low", sa.Float, nullable=False),
    sa.Column("high", sa.Float, nullable=False),
    sa.Index("metrics_by_name", "name", "evaluation_id", "low", "high", "value"),
    sqlite_with_rowid=False,
)
gate_verdicts = sa.Table(
    "gate_verdicts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("version_id", "versions", index=True),
    _reference("evaluation_id", "evaluations"),
    _reference("champion_id", "versions", nullable=True),
    _reference("champion_evaluation_id", "evaluations", nullable=True),
    sa.Column("candidate_evaluations", _JSON, nullable=False),
    sa.Column("champion_evaluations", _JSON, nullable=False),
    sa.Column("policy_sha256", sa.String(64), nullable=False),
    sa.Column("outcome", sa.String(20), nullable=False),
    sa.Column("alpha_spent", sa.Float, nullable=False),
    sa.Column("gates", _JSON, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("at", _TIME, nullable=False),
    sa.Index("verdicts_by_evaluations", "evaluation_id", "champion_evaluation_id"),
)
approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("version_id", "versions", index=True),
    _reference("champion_id", "versions", nullable=True),
    sa.Column("requested_by", sa.String(200), nullable=False),
    sa.Column("flow_run", sa.String(36), nullable=False),
    sa.Column("requested_at", _TIME, nullable=False),
    sa.Column("expires_at", _TIME, nullable=False),
)
approval_decisions = sa.Table(
    "approval_decisions",
    metadata,
    sa.Column("approval_id", sa.ForeignKey("approvals.id"), primary_key=True),
    sa.Column("outcome", sa.String(20), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", _TIME, nullable=False),
)
tags = sa.Table(
    "tags",
    metadata,
    sa.Column("version_id", sa.ForeignKey("versions.id"), primary_key=True),
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
notes = sa.Table(
    "notes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("version_id", "versions", index=True),
    sa.Column("author", sa.String(200), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", _TIME, nullable=False),
)
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("model_id", "models", index=True),
    _reference("version_id", "versions", nullable=True, index=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("details", _JSON, nullable=False),
    sa.Column("at", _TIME, nullable=False),
)

IN_ORDER = (
    datasets,
    runs,
    versions,
    version_states,
    aliases,
    evaluations,
    speeds,
    metrics,
    gate_verdicts,
    approvals,
    approval_decisions,
    tags,
    notes,
    events,
)
"""New tables; each refers only to tables before it, and to `models`."""
IMMUTABLE = (
    datasets,
    runs,
    versions,
    evaluations,
    speeds,
    metrics,
    gate_verdicts,
    approvals,
    approval_decisions,
    notes,
    events,
)
