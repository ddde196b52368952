"""The journal, as nicegold 0.1 made it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nicegold_ops.errors import DataError

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("run", sa.String, primary_key=True),
        sa.Column("mode", sa.String, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "blocks",
        sa.Column("run", sa.String, sa.ForeignKey("runs.run"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("first_sequence", sa.BigInteger, nullable=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Raises DataError while there is a run: nothing could make its record again."""
    if op.get_bind().exec_driver_sql("SELECT 1 FROM runs").first():
        raise DataError("the store holds runs, which nothing could make again; it is not taken apart")
    op.drop_table("blocks")
    op.drop_table("runs")
