"""Market data: bars and quotes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "bars",
        sa.Column("symbol", sa.String, primary_key=True),
        *_keys("length", "start"),
        sa.Column("time", sa.BigInteger, nullable=False),
        *_prices("open", "high", "low", "close", "volume", "spread"),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (start)",
    )
    op.create_table(
        "quotes",
        sa.Column("symbol", sa.String, primary_key=True),
        *_keys("time", "number"),
        *_prices("bid", "ask", "bid_size", "ask_size"),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (time)",
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # Where TimescaleDB is there, a view is kept up to date with them.
        op.execute("DROP MATERIALIZED VIEW IF EXISTS bars_by_day")
    op.drop_table("quotes")
    op.drop_table("bars")


def _keys(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False) for name in names]


def _prices(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double, nullable=False) for name in names]
