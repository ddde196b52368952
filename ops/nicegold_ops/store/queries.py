"""What pages and commands ask a store, a function each. None reads a table from end to end.

Lists come page by page: *limit* rows at most, and the next page begins *before* or *after* the last row
of this one. Where nothing is said, times are ns UTC and both ends of a range belong to it. Each raises
DataError where a row cannot be read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from decimal import Decimal
from functools import reduce
from operator import mul
from typing import Any

import msgspec
import sqlalchemy as sa

from nicegold import DAY, Fill, OrderState, OrderType, Position, Side
from nicegold_ops.journal import Run
from nicegold_ops.store.place import EXACT_SUM, readable
from nicegold_ops.store.rows import fill_in, order_in, position_in
from nicegold_ops.store.tables import (
    blocks,
    busts,
    calls,
    cursors,
    fills,
    orders,
    outbox,
    positions,
    runs,
    vetoes,
)


class StoredOrder(msgspec.Struct, frozen=True):
    """An order and how far it has come; *sequence* is 0 when an earlier run told it."""

    sequence: int
    state: OrderState


class StoredFill(msgspec.Struct, frozen=True):
    """A trade; *busted* is whether the venue took it back, *sequence* 0 when an earlier run told it."""

    sequence: int
    fill: Fill
    busted: bool


class Execution(msgspec.Struct, frozen=True):
    """What a strategy traded on a *day* (ns UTC, its beginning) on one side of an instrument.

    *quantity* is in lots, *value* the sum of lots times price.
    """

    day: int
    strategy: str
    symbol: str
    side: Side
    trades: int
    quantity: Decimal
    value: Decimal
    commission: Decimal

    @property
    def price(self) -> Decimal:
        """The average price of a lot."""
        return self.value / self.quantity


class StoredVeto(msgspec.Struct, frozen=True, kw_only=True):
    """One objection to one order; *number* counts those to the same order."""

    sequence: int
    number: int
    plugin: str
    reason: str
    time: int
    order_id: str
    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType
    price: Decimal | None
    stop_price: Decimal | None


class Message(msgspec.Struct, frozen=True):
    """What others are to be told: an event as JSON, known by run and sequence."""

    run: str
    sequence: int
    topic: str
    payload: bytes
    created_at: int
    cause: int


class Block(msgspec.Struct, frozen=True):
    """A block of the journal as it is stored; whether its chain is sound, `journal.read` says."""

    number: int
    first_sequence: int
    last_sequence: int
    payload: bytes
    digest: bytes


class CallBlock(msgspec.Struct, frozen=True):
    """A block of calls as it is stored, chained as the journal's are: see `calls.py`."""

    run: str
    number: int
    payload: bytes
    digest: bytes
    created_at: int


# Runs.


def newest_runs(connection: sa.Connection, *, before: Run | None = None, limit: int = 100) -> list[Run]:
    """The runs, newest first."""
    query = sa.select(runs.c.run, runs.c.mode, runs.c.started_at)
    if before is not None:
        query = query.where(sa.tuple_(runs.c.started_at, runs.c.run) < (before.started_at, before.run))
    query = query.order_by(runs.c.started_at.desc(), runs.c.run.desc()).limit(limit)
    with readable(connection.engine):
        return [Run(*row) for row in connection.execute(query)]


def blocks_between(connection: sa.Connection, run: str, first: int, last: int) -> list[Block]:
    """The blocks of *run* that hold an event numbered from *first* to *last*."""
    query = (
        sa.select(*(blocks.c[name] for name in Block.__struct_fields__))
        .where(blocks.c.run == run, blocks.c.number >= _block_with(connection, run, first))
        .where(blocks.c.number <= _block_with(connection, run, last))
        .order_by(blocks.c.number)
    )
    with readable(connection.engine):
        found = [Block(*row) for row in connection.execute(query)]
    return [each for each in found if each.last_sequence >= first and each.first_sequence <= last]


def _block_with(connection: sa.Connection, run: str, sequence: int) -> int:
    """The last block of *run* that begins at *sequence* or before.

    Found by halves on the key that there is: an index by sequence would be written with each order.
    """
    begins = sa.select(blocks.c.first_sequence).where(
        blocks.c.run == run, blocks.c.number == sa.bindparam("number")
    )
    newest = sa.select(sa.func.max(blocks.c.number)).where(blocks.c.run == run)

    def first_of(number: int) -> int:
        begins_at: int | None = connection.execute(begins, {"number": number}).scalar()
        if begins_at is None:
            raise ValueError(f"block {number} of run {run} is missing")
        return begins_at

    with readable(connection.engine):
        last: int | None = connection.execute(newest).scalar()
        count = 0 if last is None else last + 1
        return bisect_right(range(count), sequence, key=first_of) - 1


# Orders and fills.


def newest_orders(
    connection: sa.Connection, run: str, *, before: StoredOrder | None = None, limit: int = 100
) -> list[StoredOrder]:
    """The orders of *run*, newest first; at the end those that it took over."""
    query = orders.select().where(orders.c.run == run)
    if before is not None:
        here = (before.sequence, before.state.order.id)
        query = query.where(sa.tuple_(orders.c.sequence, orders.c.id) < here)
    query = query.order_by(orders.c.sequence.desc(), orders.c.id.desc()).limit(limit)
    with readable(connection.engine):
        return [StoredOrder(row.sequence, order_in(row)) for row in connection.execute(query)]


def order_with_fills(
    connection: sa.Connection, run: str, order_id: str
) -> tuple[StoredOrder | None, list[StoredFill]]:
    """An order and its trades in their order; None for one that is not ours, which may have trades too."""
    one = orders.select().where(orders.c.run == run, orders.c.id == order_id)
    trades = _fills().where(fills.c.run == run, fills.c.order_id == order_id)
    with readable(connection.engine):
        found = [StoredOrder(row.sequence, order_in(row)) for row in connection.execute(one)]
        told = connection.execute(trades.order_by(fills.c.sequence, fills.c.trade_id))
        return next(iter(found), None), [_stored_fill(row) for row in told]


def fills_between(
    connection: sa.Connection,
    run: str,
    start: int,
    end: int,
    *,
    after: StoredFill | None = None,
    limit: int = 100,
) -> list[StoredFill]:
    """The trades of *run* from *start* until before *end*, oldest first, without those that it took over."""
    query = _fills().where(
        fills.c.run == run, fills.c.time >= start, fills.c.time < end, fills.c.sequence > 0
    )
    if after is not None:
        query = query.where(sa.tuple_(fills.c.time, fills.c.sequence) > (after.fill.time, after.sequence))
    query = query.order_by(fills.c.time, fills.c.sequence).limit(limit)
    with readable(connection.engine):
        return [_stored_fill(row) for row in connection.execute(query)]


def executions(connection: sa.Connection, run: str, start: int, end: int) -> list[Execution]:
    """What was traded in *run* from *start* until before *end*, in this order.

    Without trades that were taken back, and those that it took over.
    """
    day = (fills.c.time - fills.c.time % sa.literal_column(str(DAY))).label("day")
    groups = (day, fills.c.strategy, fills.c.symbol, fills.c.side)
    sums = ((fills.c.quantity,), (fills.c.quantity, fills.c.price), (fills.c.commission,))
    query = (
        sa.select(*groups, sa.func.count(), *(_sum(connection.dialect.name, *each) for each in sums))
        .where(fills.c.run == run, fills.c.time >= start, fills.c.time < end, fills.c.sequence > 0)
        .where(~_is_busted())
        .group_by(*groups)
        .order_by(*groups)
    )
    with readable(connection.engine):
        rows = connection.execute(query).all()
    return [
        Execution(day, strategy, symbol, Side(side), trades, *(Decimal(each) for each in totals))
        for day, strategy, symbol, side, trades, *totals in rows
    ]


def _sum(database: str, *factors: sa.Column[Decimal]) -> sa.ColumnElement[Any]:
    """The sum of the products of *factors*, digit by digit."""
    if database == "sqlite":
        return sa.Function(EXACT_SUM, *(sa.type_coerce(each, sa.Text) for each in factors), type_=sa.Text)
    return sa.func.sum(reduce(mul, factors))


def _is_busted() -> sa.Exists:
    return sa.exists().where(busts.c.run == fills.c.run, busts.c.trade_id == fills.c.trade_id)


def _fills() -> sa.Select[tuple[object, ...]]:
    return sa.select(fills, _is_busted().label("busted"))


def _stored_fill(row: sa.Row[tuple[object, ...]]) -> StoredFill:
    return StoredFill(row.sequence, fill_in(row), bool(row.busted))


def positions_of(connection: sa.Connection, run: str) -> list[Position]:
    """The account's net positions in the instruments of *run*, flat ones included, by symbol."""
    query = positions.select().where(positions.c.run == run).order_by(positions.c.symbol)
    with readable(connection.engine):
        return [position_in(row) for row in connection.execute(query)]


# Vetoes.


def newest_vetoes(
    connection: sa.Connection, run: str, plugin: str, *, before: StoredVeto | None = None, limit: int = 100
) -> list[StoredVeto]:
    """What *plugin* objected to in *run*, newest first."""
    query = vetoes.select().where(vetoes.c.run == run, vetoes.c.plugin == plugin)
    if before is not None:
        here = (before.sequence, before.number)
        query = query.where(sa.tuple_(vetoes.c.sequence, vetoes.c.number) < here)
    query = query.order_by(vetoes.c.sequence.desc(), vetoes.c.number.desc()).limit(limit)
    with readable(connection.engine):
        return [_veto(row) for row in connection.execute(query)]


def veto_counts(connection: sa.Connection, run: str) -> dict[str, int]:
    """How often each plugin objected in *run*."""
    query = (
        sa.select(vetoes.c.plugin, sa.func.count())
        .where(vetoes.c.run == run)
        .group_by(vetoes.c.plugin)
        .order_by(vetoes.c.plugin)
    )
    with readable(connection.engine):
        return dict(map(tuple, connection.execute(query)))


def _veto(row: sa.Row[tuple[object, ...]]) -> StoredVeto:
    fields = {name: getattr(row, name) for name in StoredVeto.__struct_fields__}
    return StoredVeto(**fields | {"side": Side(row.side), "order_type": OrderType(row.order_type)})


# The outbox.


def outbox_after(connection: sa.Connection, run: str, sequence: int, *, limit: int = 1000) -> list[Message]:
    """What others are to be told of *run* after *sequence*, in its order."""
    return [Message(*row) for row in _after(connection, outbox.c.sequence, Message, run, sequence, limit)]


def runs_behind(connection: sa.Connection, reader: str) -> dict[str, int]:
    """The runs of which *reader* has something to read in the outbox, each with its cursor."""
    return _behind(connection, reader, outbox.c.sequence, 1)


def runs_with_calls_behind(connection: sa.Connection, reader: str) -> dict[str, int]:
    """The same for blocks of calls: a cursor is the number of the next one, as they are numbered from 0."""
    return _behind(connection, reader, calls.c.number, 0)


def call_blocks_after(
    connection: sa.Connection, run: str, number: int, *, limit: int = 1000
) -> list[CallBlock]:
    """The blocks of calls of *run* after the one of that *number*, in their order."""
    return [CallBlock(*row) for row in _after(connection, calls.c.number, CallBlock, run, number, limit)]


def _after(
    connection: sa.Connection,
    number: sa.Column[int],
    kind: type[msgspec.Struct],
    run: str,
    last: int,
    limit: int,
) -> list[Any]:
    """The fields of *kind*, of *run*'s rows after *last* by their *number*."""
    table = number.table
    query = (
        sa.select(*(table.c[name] for name in kind.__struct_fields__))
        .where(table.c.run == run, number > last)
        .order_by(number)
        .limit(limit)
    )
    with readable(connection.engine):
        return list(connection.execute(query))


def _behind(connection: sa.Connection, reader: str, number: sa.Column[int], first: int) -> dict[str, int]:
    """The runs in the table of *number* that go on to *first* after the reader's cursor, or beyond."""
    run = number.table.c.run
    told = sa.select(sa.func.min(run).label("run")).cte("told", recursive=True)
    # From one run to the next: its rows are not read, however many they are.
    following = sa.select(sa.func.min(run)).where(run > told.c.run).scalar_subquery()
    told = told.union_all(sa.select(following).where(told.c.run.is_not(None)))
    done = sa.func.coalesce(cursors.c.sequence, 0)
    more = sa.exists().where(run == told.c.run, number >= done + first)
    query = (
        sa.select(told.c.run, done)
        .outerjoin_from(told, cursors, (cursors.c.run == told.c.run) & (cursors.c.reader == reader))
        .where(told.c.run.is_not(None), more)
    )
    with readable(connection.engine):
        return dict(sorted(map(tuple, connection.execute(query))))


def outbox_behind(connection: sa.Connection, run: str, sequence: int) -> tuple[int, int]:
    """How many events of *run* come after *sequence* in the outbox, and when the first was put there.

    Both 0 where there is none.
    """
    after = (outbox.c.run == run, outbox.c.sequence > sequence)
    first = sa.select(outbox.c.created_at).where(*after).order_by(outbox.c.sequence).limit(1)
    with readable(connection.engine):
        count: int = connection.execute(sa.select(sa.func.count()).where(*after)).scalar() or 0
        oldest: int | None = connection.execute(first).scalar()
    return count, oldest or 0


def traceparents(connection: sa.Connection, run: str, order_ids: Iterable[str]) -> dict[str, str]:
    """What the orders of these ids carry, of those that *run* has."""
    query = sa.select(orders.c.id, orders.c.traceparent).where(
        orders.c.run == run, orders.c.id.in_(sorted(order_ids))
    )
    with readable(connection.engine):
        return dict(map(tuple, connection.execute(query)))
