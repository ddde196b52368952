"""The tables: the journal, which is the truth, and what is made from it.

Columns are named as the fields of the events that they come from. Times are ns UTC. *sequence* is the
number of an event in its run; it is 0 for what a run took over from the one before it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


class Exact(sa.TypeDecorator[Decimal]):
    """A Decimal, digit by digit: NUMERIC where the database has it, text on SQLite, whose numbers are floats.

    On SQLite it can be compared for equality and not be sorted or added up.
    """

    impl = sa.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else sa.Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:
        if value is not None and type(value) is not Decimal:
            raise TypeError(f"{value!r} is no Decimal")
        # Without an exponent, as PostgreSQL gives it back.
        return format(value, "f") if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class Words(sa.TypeDecorator[str]):
    """Text, also a member of a StrEnum. PostgreSQL takes no NUL, and an order must not fail for one."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else value.replace("\0", "\ufffd")


def _numbered(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _exact(name: str, *, nullable: bool = False) -> sa.Column[Decimal]:
    return sa.Column(name, Exact, nullable=nullable)


def _words(name: str, *, key: bool = False, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, Words, primary_key=key, nullable=nullable)


def _key(name: str) -> sa.Column[int]:
    # Not "auto": PostgreSQL would count for us.
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


metadata = sa.MetaData()

# The journal.

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("mode", sa.String, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    # The name of the key of its blocks' MACs, "" for none: see `chain.py`.
    sa.Column("mac_key", sa.String, nullable=False, server_default=""),
    sa.Index("runs_by_start", "started_at", "run"),
)
blocks = sa.Table(
    "blocks",
    metadata,
    sa.Column("run", sa.String, sa.ForeignKey("runs.run"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("first_sequence", sa.BigInteger, nullable=False),
    sa.Column("last_sequence", sa.BigInteger, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("mac", sa.LargeBinary),
)

# What is made from it. On SQLite a row is in its key's tree: each tree less is a page less in every commit.

#: An order with the terms that it has now, and how far it has come. *asked* is a Replace as JSON. What came
#: of the order is told under the trace of its *traceparent*; it is empty where nobody knows it.
orders = sa.Table(
    "orders",
    metadata,
    _words("run", key=True),
    _words("id", key=True),
    _numbered("sequence"),
    _words("strategy"),
    _words("symbol"),
    _words("side"),
    _exact("quantity"),
    _words("order_type"),
    _exact("price", nullable=True),
    _exact("stop_price", nullable=True),
    _exact("trail", nullable=True),
    _words("time_in_force"),
    _numbered("expires"),
    sa.Column("reduce_only", sa.Boolean, nullable=False),
    _words("parent"),
    _words("oco"),
    _numbered("time"),
    _words("status"),
    _exact("filled"),
    sa.Column("triggered", sa.Boolean, nullable=False),
    _words("venue_order_id"),
    _words("asked", nullable=True),
    sa.Column("unanswered", sa.Integer, nullable=False),
    sa.Column("resent", sa.Boolean, nullable=False),
    sa.Column("traceparent", Words, nullable=False, server_default=""),
    sa.Index("orders_by_sequence", "run", "sequence", "id"),
    sqlite_with_rowid=False,
)
#: Each trade once, also where the venue told of it twice or took it back.
fills = sa.Table(
    "fills",
    metadata,
    _words("run", key=True),
    _words("order_id", key=True),
    _words("trade_id", key=True),
    _numbered("sequence"),
    _numbered("time"),
    _words("strategy"),
    _words("symbol"),
    _words("side"),
    _exact("quantity"),
    _exact("price"),
    _exact("commission"),
    _exact("rate"),
    sa.Index("fills_by_time", "run", "time", "sequence"),
    sqlite_with_rowid=False,
)
#: Trades that the venue took back; also those that it took back before it told of them.
busts = sa.Table(
    "busts",
    metadata,
    _words("run", key=True),
    _words("trade_id", key=True),
    _numbered("sequence"),
    _words("order_id"),
    _numbered("time"),
    _words("reason"),
    sqlite_with_rowid=False,
)
#: The account's net positions, one of each instrument of the run, flat ones included.
positions = sa.Table(
    "positions",
    metadata,
    _words("run", key=True),
    _words("symbol", key=True),
    _exact("lot_size"),
    _exact("quantity"),
    _exact("cost"),
    _exact("realized"),
    sqlite_with_rowid=False,
)
#: One row an objection; *number* counts those to one order.
vetoes = sa.Table(
    "vetoes",
    metadata,
    _words("run", key=True),
    _key("sequence"),
    _key("number"),
    _words("plugin"),
    _words("reason"),
    _numbered("time"),
    _words("order_id"),
    _words("strategy"),
    _words("symbol"),
    _words("side"),
    _exact("quantity"),
    _words("order_type"),
    _exact("price", nullable=True),
    _exact("stop_price", nullable=True),
    sa.Index("vetoes_by_plugin", "run", "plugin", "sequence", "number"),
    sqlite_with_rowid=False,
)
#: What others are to be told: an event as JSON. A run has one writer, so its rows are committed in the
#: order of their sequences; a number counted over all runs would not be, and a reader could pass one by.
#: *cause* is the number of the input that the event follows from, 0 where nobody knows it.
outbox = sa.Table(
    "outbox",
    metadata,
    _words("run", key=True),
    _key("sequence"),
    _words("topic"),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    _numbered("created_at"),
    sa.Column("cause", sa.BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
#: How plugins were called, in blocks that are chained as the journal's are: see `calls.py`.
calls = sa.Table(
    "calls",
    metadata,
    _words("run", key=True),
    _key("number"),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    _numbered("created_at"),
    sa.Column("mac", sa.LargeBinary),
    sqlite_with_rowid=False,
)
#: What people did, each on record before it was done: see `actions.py`.
actions = sa.Table(
    "actions",
    metadata,
    _key("number"),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    _numbered("created_at"),
    sa.Column("mac", sa.LargeBinary),
    _words("mac_key"),
)
#: How far the chains of all runs had come, signed: see `audit/checkpoint.py`.
checkpoints = sa.Table(
    "checkpoints",
    metadata,
    _key("number"),
    sa.Column("payload", sa.String, nullable=False),
    sa.Column("signature", sa.String, nullable=False),
)
#: How far a reader has come in each run.
cursors = sa.Table(
    "cursors",
    metadata,
    _words("reader", key=True),
    _words("run", key=True),
    _numbered("sequence"),
    sqlite_with_rowid=False,
)

#: A number that grows with each engine that takes the place of that name: an earlier one may not write.
fences = sa.Table(
    "fences",
    metadata,
    _words("name", key=True),
    _numbered("token"),
    sqlite_with_rowid=False,
)


# Market data. Prices are floats, as they are in core: nothing is booked with them.


def _price(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=False)


#: Bars by their *length* (ns) and *start*, as `Bar` has them. In PostgreSQL a month is a partition, or there
#: are chunks, where TimescaleDB is: see `timescale.py`.
bars = sa.Table(
    "bars",
    metadata,
    _words("symbol", key=True),
    _key("length"),
    _key("start"),
    _numbered("time"),
    *(_price(name) for name in ("open", "high", "low", "close", "volume", "spread")),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (start)",
)
#: Quotes as `Quote` has them; *number* counts those of the same *time*.
quotes = sa.Table(
    "quotes",
    metadata,
    _words("symbol", key=True),
    _key("time"),
    _key("number"),
    *(_price(name) for name in ("bid", "ask", "bid_size", "ask_size")),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (time)",
)


def insert_into(table: sa.Table, database: str) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say what to do with a row that is there; *database* is the name of its dialect."""
    insert: sqlite.Insert | postgresql.Insert
    insert = sqlite.insert(table) if database == "sqlite" else postgresql.insert(table)
    return insert
