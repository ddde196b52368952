"""Orders, fills, positions and vetoes as tables, and the outbox."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES = ("orders", "fills", "busts", "positions", "vetoes", "outbox", "cursors")
_EXACT = sa.Numeric().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_index("runs_by_start", "runs", ["started_at", "run"])
    _create(
        "orders",
        *_keys("run", "id"),
        _number("sequence"),
        *_texts("strategy", "symbol", "side"),
        _exact("quantity"),
        _text("order_type"),
        *(_exact(name, nullable=True) for name in ("price", "stop_price", "trail")),
        _text("time_in_force"),
        _number("expires"),
        _flag("reduce_only"),
        *_texts("parent", "oco"),
        _number("time"),
        _text("status"),
        _exact("filled"),
        _flag("triggered"),
        _text("venue_order_id"),
        _text("asked", nullable=True),
        sa.Column("unanswered", sa.Integer, nullable=False),
        _flag("resent"),
    )
    op.create_index("orders_by_sequence", "orders", ["run", "sequence", "id"])
    _create(
        "fills",
        *_keys("run", "order_id", "trade_id"),
        *_numbers("sequence", "time"),
        *_texts("strategy", "symbol", "side"),
        *(_exact(name) for name in ("quantity", "price", "commission", "rate")),
    )
    op.create_index("fills_by_time", "fills", ["run", "time", "sequence"])
    _create(
        "busts",
        *_keys("run", "trade_id"),
        _number("sequence"),
        _text("order_id"),
        _number("time"),
        _text("reason"),
    )
    _create(
        "positions",
        *_keys("run", "symbol"),
        *(_exact(name) for name in ("lot_size", "quantity", "cost", "realized")),
    )
    _create(
        "vetoes",
        *_keys("run"),
        _numbered_key("sequence"),
        _numbered_key("number"),
        *_texts("plugin", "reason"),
        _number("time"),
        *_texts("order_id", "strategy", "symbol", "side"),
        _exact("quantity"),
        _text("order_type"),
        _exact("price", nullable=True),
        _exact("stop_price", nullable=True),
    )
    op.create_index("vetoes_by_plugin", "vetoes", ["run", "plugin", "sequence", "number"])
    _create(
        "outbox",
        *_keys("run"),
        _numbered_key("sequence"),
        _text("topic"),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        _number("created_at"),
    )
    _create("cursors", *_keys("reader", "run"), _number("sequence"))


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    op.drop_index("runs_by_start", "runs")


def _create(table: str, *columns: sa.Column[Any]) -> None:
    op.create_table(table, *columns, sqlite_with_rowid=False)


def _keys(*names: str) -> Iterable[sa.Column[Any]]:
    return (sa.Column(name, sa.String, primary_key=True) for name in names)


def _numbered_key(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _numbers(*names: str) -> Iterable[sa.Column[Any]]:
    return map(_number, names)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String, nullable=nullable)


def _texts(*names: str) -> Iterable[sa.Column[Any]]:
    return map(_text, names)


def _exact(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _EXACT, nullable=nullable)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=False)
