"""Create the tables models, versions, evaluations and transitions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
    )
    op.create_table(
        "versions",
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
    )
    op.create_index(
        "one_champion",
        "versions",
        ["model_id"],
        unique=True,
        sqlite_where=sa.text("stage = 'champion'"),
        postgresql_where=sa.text("stage = 'champion'"),
    )
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "version_id", sa.Integer, sa.ForeignKey("versions.id"), nullable=False, unique=True
        ),
        sa.Column("accuracy", sa.Float, nullable=False),
        sa.Column("error", sa.Float, nullable=False),
        sa.Column("chance", sa.Float, nullable=False),
        sa.Column("normalised", sa.Float, nullable=False),
        sa.Column("partial", sa.Boolean, nullable=False),
        sa.Column("items", sa.Integer, nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
    )
    op.create_table(
        "transitions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("version_id", sa.Integer, sa.ForeignKey("versions.id"), nullable=False),
        sa.Column("from_stage", sa.String(20)),
        sa.Column("to_stage", sa.String(20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("reason", sa.String(2000), nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    for table in ("transitions", "evaluations", "versions", "models"):
        op.drop_table(table)
