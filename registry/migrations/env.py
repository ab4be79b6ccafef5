"""Alembic's entry: runs the migrations on the connection that `registry.session` opened."""

from __future__ import annotations

from alembic import context

from registry.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
