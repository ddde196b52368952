"""Where Alembic runs the steps: on the connection that `schema.py` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from nicegold_ops.store.tables import metadata

# Imported by itself it has nothing to run.
if hasattr(context, "config"):
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    context.run_migrations()
