"""Which trace an event belongs to, how plugins were called, and signed checkpoints of both chains."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("orders", sa.Column("traceparent", sa.String, nullable=False, server_default=""))
    op.add_column("outbox", sa.Column("cause", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "calls",
        sa.Column("run", sa.String, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoints",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("payload", sa.String, nullable=False),
        sa.Column("signature", sa.String, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("checkpoints")
    op.drop_table("calls")
    op.drop_column("outbox", "cause")
    op.drop_column("orders", "traceparent")
