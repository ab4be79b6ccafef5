"""Create the tables models, versions, evaluations and transitions."""

from __future__ import annotations

from alembic import op

from registry.migrations import tables_0001

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    tables_0001.metadata.create_all(op.get_bind())


def downgrade() -> None:
    tables_0001.metadata.drop_all(op.get_bind())
