"""Alembic's entry: runs the migrations on the connection that `stores/sqlite.py` hands over."""

from __future__ import annotations

from alembic import context

from kefu.stores.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
