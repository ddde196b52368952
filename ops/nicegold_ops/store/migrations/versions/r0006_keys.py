"""Message authentication codes of both chains, and a third chain of what people did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("runs", sa.Column("mac_key", sa.String, nullable=False, server_default=""))
    op.add_column("blocks", sa.Column("mac", sa.LargeBinary))
    op.add_column("calls", sa.Column("mac", sa.LargeBinary))
    op.create_table(
        "actions",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary),
        sa.Column("mac_key", sa.String, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("actions")
    op.drop_column("calls", "mac")
    op.drop_column("blocks", "mac")
    op.drop_column("runs", "mac_key")
