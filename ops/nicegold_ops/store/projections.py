"""Orders, fills, positions and vetoes of a run as tables, folded from its events.

The fold is core's: after the same events a run's working orders and positions are here as its portfolio
has them. An order that ended stays, with what came afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cache
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.dialects import postgresql, sqlite

from nicegold import (
    Absent,
    Accepted,
    Adopted,
    Busted,
    Cancel,
    Canceled,
    CancelRejected,
    Event,
    Expired,
    Fill,
    Found,
    Order,
    OrderState,
    Position,
    Rejected,
    Replace,
    Replaced,
    Snapshot,
    Started,
    Triggered,
    Unknown,
    Vetoed,
)
from nicegold.orders import advance
from nicegold.portfolio import traded
from nicegold.values import ZERO
from nicegold_ops.errors import DataError
from nicegold_ops.journal import Told
from nicegold_ops.store.place import place_of, sound
from nicegold_ops.store.rows import (
    fill_in,
    order_in,
    position_in,
    row_of_fill,
    row_of_order,
    row_of_position,
    rows_of_veto,
)
from nicegold_ops.store.tables import busts, cursors, fills, insert_into, orders, positions, runs, vetoes
from nicegold_ops.trace import traceparent

#: The reader, in the table of cursors, that the projections are.
READER = "projections"
#: Whose `order_id` says which order they are about, and change nothing else.
_ADVANCE = (
    Absent,
    Accepted,
    Cancel,
    Canceled,
    CancelRejected,
    Expired,
    Found,
    Rejected,
    Replace,
    Replaced,
    Triggered,
    Unknown,
)

# Statements are built once: to build one costs more than to run it.


def _select(column: sa.Column[str]) -> sa.Select[Any]:
    """The rows of a run of which *column* is among those wanted."""
    table = column.table
    of_run = table.c.run == sa.bindparam("of_run")
    return sa.select(table).where(of_run, column.in_(sa.bindparam("wanted", expanding=True)))


_ORDERS, _FILLS = _select(orders.c.id), _select(fills.c.order_id)
_BUSTS, _POSITIONS = _select(busts.c.trade_id), _select(positions.c.symbol)
_THIS = runs.alias()
_PARENTS = (
    sa.select(orders.c.id, orders.c.traceparent)
    .join(runs, orders.c.run == runs.c.run)
    .join(_THIS, _THIS.c.started_at > runs.c.started_at)
    .where(_THIS.c.run == sa.bindparam("of_run"), orders.c.id.in_(sa.bindparam("wanted", expanding=True)))
    .order_by(runs.c.started_at)
)
_MINE = (cursors.c.reader == READER, cursors.c.run == sa.bindparam("of_run"))
_CURSOR = sa.select(cursors.c.sequence).where(*_MINE)
_MOVE = (
    cursors.update()
    .where(*_MINE, cursors.c.sequence < sa.bindparam("before"))
    .values(sequence=sa.bindparam("last"))
)


def project(connection: sa.Connection, run: str, events: Iterable[Told]) -> None:
    """Fold *events* of *run* into the tables, in the transaction of *connection*.

    What was folded before is passed by, so the same block may come again. Raises DataError when what the
    tables hold of the run cannot be gone on from, and what SQLAlchemy does when they cannot be written.
    """
    told = [each for each in events if type(each.event) in _FOLDS]
    if not told:
        return
    with sound(connection.engine):
        news = _news(connection, run, told)
        if news:
            books = _Books(connection, run, news)
            for each in news:
                _FOLDS[type(each.event)](books, each, each.event)
            books.write()


def projected_to(connection: sa.Connection, run: str) -> int:
    """The sequence up to which the tables were made of *run*; 0 when they hold nothing of it."""
    sequence: int | None = connection.execute(_CURSOR, {"of_run": run}).scalar()
    return sequence or 0


def forget(connection: sa.Connection, run: str) -> None:
    """Remove what the tables hold of *run*, in the transaction of *connection*."""
    for table in (orders, fills, busts, positions, vetoes):
        connection.execute(table.delete().where(table.c.run == run))
    connection.execute(cursors.delete().where(cursors.c.reader == READER, cursors.c.run == run))


def _news(connection: sa.Connection, run: str, told: list[Told]) -> list[Told]:
    """Those of *told* that were not folded yet; from now on they were."""
    last = told[-1].sequence
    if connection.execute(_MOVE, {"of_run": run, "before": told[0].sequence, "last": last}).rowcount:
        return told
    known = connection.execute(_CURSOR, {"of_run": run}).scalar()
    if known is None:
        connection.execute(cursors.insert(), {"reader": READER, "run": run, "sequence": last})
        return told
    connection.execute(_MOVE, {"of_run": run, "before": last, "last": last})
    return [each for each in told if each.sequence > known]


class _Books:
    """The part of a run's tables that *told* is about: read at once, changed here, written at once."""

    def __init__(self, connection: sa.Connection, run: str, told: list[Told]) -> None:
        self._connection, self._run = connection, run
        #: By id, the number under which the order was told, and how far it has come.
        self._orders: dict[str, tuple[int, OrderState]] = {}
        #: By id, the order's traceparent.
        self._parents: dict[str, str] = {}
        self._fills: dict[tuple[str, str], Fill] = {}
        self._busted: set[str] = set()
        #: By symbol, with the lot size.
        self._positions: dict[str, tuple[Position, Decimal]] = {}
        #: What is to be written: keys of the above, and whole rows.
        self._changed: dict[str, None] = {}
        self._moved: dict[str, None] = {}
        self._new: dict[sa.Table, list[dict[str, Any]]] = {fills: [], busts: [], vetoes: []}
        self._read(told)

    # What there is.

    def _read(self, told: list[Told]) -> None:
        events: list[Any] = [each.event for each in told]
        about = {event.order_id for event in events if hasattr(event, "order_id")}
        if not about:
            return
        for row in self._rows(_ORDERS, about):
            self._orders[row.id] = (row.sequence, order_in(row))
            self._parents[row.id] = row.traceparent
        trades = [event for event in events if isinstance(event, Fill | Busted)]
        if not trades:
            return
        for row in self._rows(_FILLS, {each.order_id for each in trades}):
            self._fills[row.order_id, row.trade_id] = fill_in(row)
        self._busted = {row.trade_id for row in self._rows(_BUSTS, {each.trade_id for each in trades})}

    def _rows(self, select: sa.Select[Any], wanted: Iterable[str]) -> Iterable[Any]:
        return self._connection.execute(select, {"of_run": self._run, "wanted": sorted(wanted)})

    # What happens.

    def start(self, told: Told, started: Started) -> None:
        for each in started.instruments:
            self._positions[each.symbol] = (Position(each.symbol), each.lot_size)
            self._moved[each.symbol] = None

    def take_over(self, told: Told, snapshot: Snapshot) -> None:
        """What a run begins with, where it goes on from another. A later snapshot says nothing new."""
        if self._knows_anything():
            return
        self._parents |= self._earlier_parents([state.order.id for state in snapshot.working])
        for state in snapshot.working:
            self._put(0, state)
        for trades in snapshot.trades.values():
            for fill in trades:
                self._add(0, fill)
        for trade_id in snapshot.busted:
            self._bust(0, Busted(order_id="", trade_id=trade_id, time=snapshot.time))
        for position in snapshot.positions:
            self._hold(position)

    def order(self, told: Told, order: Order) -> None:
        self._parents[order.id] = traceparent(self._run, told.cause)
        self._put(told.sequence, OrderState(order))

    def advance(self, told: Told, event: Any) -> None:
        known = self._orders.get(event.order_id)
        if known is not None:
            self._put(known[0], advance(known[1], event))

    def fill(self, told: Told, fill: Fill) -> None:
        if (fill.order_id, fill.trade_id) in self._fills:
            return
        self._add(told.sequence, fill)
        if fill.trade_id not in self._busted:
            self.advance(told, fill)
            self._trade(fill, fill.signed_quantity)

    def bust(self, told: Told, busted: Busted) -> None:
        if busted.trade_id in self._busted:
            return
        self._bust(told.sequence, busted)
        fill = self._fills.get((busted.order_id, busted.trade_id))
        if fill is None:
            return
        self._trade(fill, -fill.signed_quantity)
        known = self._orders.get(busted.order_id)
        if known is not None:
            number, state = known
            self._put(number, replace(state, filled=max(state.filled - fill.quantity, ZERO)))

    def adopt(self, told: Told, adopted: Adopted) -> None:
        if adopted.kind == "position":
            before, _ = self._position(adopted.about)
            self._hold(replace(before, quantity=Decimal(adopted.theirs), cost=adopted.amount))

    def veto(self, told: Told, vetoed: Vetoed) -> None:
        self._new[vetoes] += rows_of_veto(self._run, told.sequence, vetoed)

    # What changes.

    def _knows_anything(self) -> bool:
        if self._orders or self._fills:
            return True
        known = sa.exists().where(orders.c.run == self._run) | sa.exists().where(fills.c.run == self._run)
        return bool(self._connection.execute(sa.select(known)).scalar())

    def _earlier_parents(self, wanted: list[str]) -> dict[str, str]:
        """The traceparents that orders had in the runs before, the newest run's last."""
        found = self._connection.execute(_PARENTS, {"of_run": self._run, "wanted": wanted}) if wanted else ()
        return {row.id: row.traceparent for row in found}

    def _put(self, sequence: int, state: OrderState) -> None:
        self._orders[state.order.id] = (sequence, state)
        self._changed[state.order.id] = None

    def _add(self, sequence: int, fill: Fill) -> None:
        self._fills[fill.order_id, fill.trade_id] = fill
        self._new[fills].append(row_of_fill(self._run, sequence, fill))

    def _bust(self, sequence: int, busted: Busted) -> None:
        self._busted.add(busted.trade_id)
        self._new[busts].append(
            {
                "run": self._run,
                "sequence": sequence,
                "order_id": busted.order_id,
                "trade_id": busted.trade_id,
                "time": busted.time,
                "reason": busted.reason,
            }
        )

    def _trade(self, fill: Fill, quantity: Decimal) -> None:
        position, lot_size = self._position(fill.symbol)
        self._hold(traded(position, quantity, fill.price, lot_size * fill.rate))

    def _position(self, symbol: str) -> tuple[Position, Decimal]:
        known = self._positions.get(symbol)
        if known is not None:
            return known
        for row in self._rows(_POSITIONS, [symbol]):
            self._positions[symbol] = (position_in(row), row.lot_size)
            return self._positions[symbol]
        raise DataError(
            f"{place_of(self._connection.engine)} has no position in {symbol} of run {self._run} "
            "to go on from; make its tables again"
        )

    def _hold(self, position: Position) -> None:
        _, lot_size = self._position(position.symbol)
        self._positions[position.symbol] = (position, lot_size)
        self._moved[position.symbol] = None

    # What is written.

    def write(self) -> None:
        """Put what has changed into the tables."""
        changed = [
            row_of_order(self._run, *self._orders[each], self._parents.get(each, ""))
            for each in self._changed
        ]
        moved = [row_of_position(self._run, *self._positions[each]) for each in self._moved]
        for table, rows in {orders: changed, positions: moved, **self._new}.items():
            if rows:
                self._connection.execute(_upsert(table, self._connection.dialect.name), rows)


_FOLDS: dict[type[Event], Callable[[_Books, Told, Any], None]] = {
    Started: _Books.start,
    Snapshot: _Books.take_over,
    Order: _Books.order,
    Fill: _Books.fill,
    Busted: _Books.bust,
    Adopted: _Books.adopt,
    Vetoed: _Books.veto,
    **dict.fromkeys(_ADVANCE, _Books.advance),
}


@cache
def _upsert(table: sa.Table, database: str) -> sqlite.Insert | postgresql.Insert:
    """Writes whole rows of *table*: what can change is written over, what cannot stays as it is."""
    insert = insert_into(table, database)
    if table not in (orders, positions):
        return insert.on_conflict_do_nothing()
    keys = list(table.primary_key)
    changing = {each.name: insert.excluded[each.name] for each in table.columns if each not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=changing)
