"""What an order and a recovery take where nothing may be lost: journal on the disk, FULL sync.

From when the strategy answers to when the order is handed to the broker; beside a bare commit of as many
bytes with sqlite3 in the same folder. And from opening the store to knowing all again, from
a tail of 100,000 events and from 10,000,000 by the last snapshot.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np

from nicegold import Accepted, Bar, Event, Fill, Order, Portfolio, Side, Started, hookimpl, plugin
from nicegold.engine import Engine
from nicegold.host import Host
from nicegold.testing import ACCOUNT, GOLD, bar
from nicegold_ops.journal import Journal, Run, open_journal
from nicegold_ops.projected import ProjectedJournal
from nicegold_ops.recovery import SNAPSHOT_EVERY, last_state, refuse_unsound
from tests.bench.walk import scratch

#: Seconds: from the journal to the broker at the 99th percentile; until all is known again.
MOST_SEND, MOST_TAIL, MOST_SNAPSHOT = 0.005, 3.0, 10.0
INSTRUMENTS = {GOLD.symbol: GOLD}


class Percentiles(msgspec.Struct, frozen=True):
    """Seconds."""

    p50: float
    p99: float


class Orders(msgspec.Struct, frozen=True):
    """*sent* and the bare *commit* of the same machine and minute; recoveries in seconds, by events."""

    count: int
    sent: Percentiles
    commit: Percentiles
    recovered: dict[int, float]


def measure(count: int, tail: int, snapshot: int) -> Orders:
    """*count* orders, a recovery from *tail* events and one from *snapshot* events by their snapshots."""
    with scratch() as name:
        folder = Path(name)
        sent, commit = _sent(folder, count), _committed(folder, count)
        recovered = {
            events: _recovered(folder / f"{events}.sqlite", events, every)
            for events, every in ((tail, 0), (snapshot, SNAPSHOT_EVERY))
        }
    return Orders(count, sent, commit, recovered)


def _percentiles(seconds: list[float]) -> Percentiles:
    p50, p99 = np.percentile(seconds, (50, 99))
    return Percentiles(float(p50), float(p99))


@plugin
class Timed:
    """Buys and sells in turn, takes its own orders, and keeps how long each was on its way."""

    def __post_init__(self) -> None:
        self.seconds: list[float] = []
        self._side = Side.BUY

    @hookimpl
    def on_bar(self, bar: Bar) -> list[Order]:
        self._side = Side.SELL if self._side is Side.BUY else Side.BUY
        order = Order(symbol=bar.symbol, side=self._side, quantity=Decimal("0.10"))
        self._asked = time.perf_counter()
        return [order]

    @hookimpl
    def place_order(self, order: Order) -> Accepted:
        self.seconds.append(time.perf_counter() - self._asked)
        return Accepted(order_id=order.id, time=order.time)


def _sent(folder: Path, count: int) -> Percentiles:
    store = open_journal(folder / "orders.sqlite")
    cause, timed = [0], Timed()
    run = Run("bench", "live", 1)
    journal = ProjectedJournal(store, run, cause=cause, durable=True, by_reference=False, wall=time.time_ns)
    engine = Engine(
        Host(lambda hook, name, call: call, {"timed": timed}),
        journal.record,
        Portfolio(ACCOUNT, INSTRUMENTS),
        cause=cause,
    )
    for number in range(count):
        engine.handle(bar(number=number))
    store.dispose()
    return _percentiles(timed.seconds)


def _committed(folder: Path, count: int) -> Percentiles:
    """The floor: a row of as many bytes, committed with FULL sync by the standard library."""
    seconds = []
    with closing(sqlite3.connect(folder / "floor.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE blocks (number INTEGER PRIMARY KEY, payload BLOB)")
        for number in range(count):
            began = time.perf_counter()
            connection.execute("INSERT INTO blocks VALUES (?, ?)", (number, os.urandom(500)))
            seconds.append(time.perf_counter() - began)
    return _percentiles(seconds)


def _recovered(path: Path, events: int, every: int) -> float:
    """Seconds from opening the store, each chain followed, to what was known after *events*.

    There is a snapshot each *every*.
    """
    _write(path, events, every)
    began = time.perf_counter()
    store = open_journal(path)
    refuse_unsound(store)
    known = last_state(store, Run("next", "live", 2), ACCOUNT, INSTRUMENTS)
    seconds = time.perf_counter() - began
    store.dispose()
    if known is None or known.time != bar(number=events - 1).time:
        sys.exit("the recovery does not know the last bar")
    return seconds


def _events(count: int) -> Iterator[Event]:
    """*count* events of a run: bars, and an order that fills on each hundredth."""
    yield Started(
        version="bench",
        seed=0,
        cash=ACCOUNT.cash,
        currency=ACCOUNT.currency,
        instruments=[GOLD],
        configuration="",
        sources={},
    )
    side = Side.BUY
    for number in range(count):
        yield bar(number=number)
        if number % 100 == 0:
            yield from _traded(f"bench-{number}", side, bar(number=number).time)
            side = Side.SELL if side is Side.BUY else Side.BUY


def _traded(order_id: str, side: Side, time: int) -> Iterator[Event]:
    lots, price = Decimal("0.10"), Decimal(2000)
    yield Order(symbol=GOLD.symbol, side=side, quantity=lots, id=order_id, strategy="bench", time=time)
    yield Accepted(order_id=order_id, time=time)
    yield Fill(
        order_id=order_id,
        trade_id=f"T-{order_id}",
        time=time,
        symbol=GOLD.symbol,
        side=side,
        quantity=lots,
        price=price,
        strategy="bench",
    )


def _write(path: Path, events: int, every: int) -> None:
    store = open_journal(path, durable=False)
    journal = Journal(store, Run("before", "live", 1), cause=[0], durable=False, by_reference=False)
    portfolio = Portfolio(ACCOUNT, INSTRUMENTS)
    for number, each in enumerate(_events(events), 1):
        journal.record(each)
        portfolio.apply(each)
        if every and number % every == 0:
            journal.record(portfolio.snapshot({}))
    journal.flush()
    store.dispose()
