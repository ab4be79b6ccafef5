"""Alembic environment: runs the migrations on the connection that `registry.session` opened."""

from __future__ import annotations

from alembic import context

from registry.tables import RegistryBase

context.configure(
    connection=context.config.attributes["connection"], target_metadata=RegistryBase.metadata
)
context.run_migrations()
