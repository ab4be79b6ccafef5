"""The tables of schema revision 0001 (release 0.1.0), for the migrations to read and write."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()
models = sa.Table(
    "models",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
)
versions = sa.Table(
    "versions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("model_id", sa.Integer, sa.ForeignKey("models.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("stage", sa.String(20), nullable=False),
    sa.Column("tuned", sa.Boolean, nullable=False),
    sa.Column("total_parameters", sa.BigInteger, nullable=False),
    sa.Column("active_parameters", sa.BigInteger, nullable=False),
    sa.Column("flops_per_token", sa.Float, nullable=False),
    sa.Column("training_flops", sa.Float, nullable=False),
    sa.Column("training_seconds", sa.Float, nullable=False),
    sa.Column("run_record", sa.JSON, nullable=False),
    sa.Column("artifact", sa.String(1000), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("model_id", "number"),
    sa.UniqueConstraint("model_id", "digest"),
    sa.Index(
        "one_champion",
        "model_id",
        unique=True,
        sqlite_where=sa.text("stage = 'champion'"),
        postgresql_where=sa.text("stage = 'champion'"),
    ),
)
evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version_id", sa.ForeignKey("versions.id"), nullable=False, unique=True),
    sa.Column("accuracy", sa.Float, nullable=False),
    sa.Column("error", sa.Float, nullable=False),
    sa.Column("chance", sa.Float, nullable=False),
    sa.Column("normalised", sa.Float, nullable=False),
    sa.Column("partial", sa.Boolean, nullable=False),
    sa.Column("items", sa.Integer, nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
)
transitions = sa.Table(
    "transitions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version_id", sa.Integer, sa.ForeignKey("versions.id"), nullable=False),
    sa.Column("from_stage", sa.String(20)),
    sa.Column("to_stage", sa.String(20), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("reason", sa.String(2000), nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
)

IN_ORDER = (versions, evaluations, transitions)
"""Each refers only to tables before it, and to `models`."""
