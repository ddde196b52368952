"""A live session from the command line, on a real disk that fills up, is tampered with, or is told to end."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from nicegold import Event, Finished, Fill, Order, OrderStatus, Snapshot, Unknown
from nicegold.testing import ACCOUNT, GOLD
from nicegold_ops.journal import Run, all_runs, journal_path, open_journal, read
from nicegold_ops.recovery import last_state
from tests.exchange.client import PATIENCE, Exchange, exchange, until
from tests.ops.commandline import spawned

#: The fixture.
__all__ = ["exchange"]

CONFIGURATION = """
[run]
mode = "live"
cash = "100000"
currency = "USD"
state = "state"

[instruments.XAUUSD]
tick_size = "0.01"
lot_size = "100"
quantity_step = "0.01"

[plugins.pace]
use = "market:Pace"

[plugins.trades]
use = "market:{strategy}"

[plugins.few]
use = "max_position"
limit = "6"

[plugins.venue]
use = "venue"
account = "demo"
port = {port}
timeout = 1.0

[plugins.person]
use = "file"
path = "alerts.jsonl"

[plugins.words]
use = "log"
"""
MARKET = '''
import time
from decimal import Decimal
from itertools import count

from nicegold import Order, OrderType, Replace, Side, hookimpl, plugin
from nicegold.testing import START, bar

SOME = {"symbol": "XAUUSD", "quantity": Decimal(1)}


@plugin
class Pace:
    """A bar of a millisecond every few of them, from now on: none is before those of an earlier session."""

    @hookimpl
    def stream_market(self):
        for number in count((time.time_ns() - START) // 1_000_000):
            yield bar(number=number, length=1_000_000)
            time.sleep(0.004)


@plugin
class Burst:
    """Three lots each way on each bar, one after the other."""

    @hookimpl
    def on_bar(self):
        return [Order(side=side, **SOME) for side in (Side.BUY, Side.SELL) * 3]


@plugin
class Rests:
    """Holds a lot, with an order to take it back and one for another, whose price it changes on each bar."""

    name: str = ""

    @hookimpl
    def on_bar(self, bar, portfolio):
        working = portfolio.working(strategy=self.name)
        if not all(each.is_resting for each in working):
            return None
        if not portfolio.position("XAUUSD").quantity:
            return [Order(side=Side.BUY, **SOME)]
        if not any(each.order.reduce_only for each in working):
            price = Decimal(2100)
            sell = {"side": Side.SELL, "order_type": OrderType.LIMIT, "reduce_only": True, "price": price}
            return [Order(**SOME, **sell)]
        price = 1900 + Decimal(bar.start // 1_000_000 % 50)
        for each in working:
            if not each.order.reduce_only:
                return [Replace(order_id=each.order.id, price=price)]
        return [Order(side=Side.BUY, order_type=OrderType.LIMIT, price=price, **SOME)]


@plugin
class Greedy:
    """Turns a lot over, and asks for a hundred, which is refused."""

    name: str = ""

    @hookimpl
    def on_bar(self, portfolio):
        if portfolio.working(strategy=self.name):
            return None
        side = Side.SELL if portfolio.position("XAUUSD").quantity > 0 else Side.BUY
        return [Order(side=side, **SOME), Order(symbol="XAUUSD", side=side, quantity=Decimal(100))]
'''
MAIN = "from nicegold_ops.commands import main; main()"


class Desk:
    """Who runs sessions in *folder*, against *exchange*."""

    def __init__(self, folder: Path, exchange: Exchange, strategy: str) -> None:
        self.folder, self.exchange = folder, exchange
        (folder / "nicegold.toml").write_text(CONFIGURATION.format(port=exchange.port, strategy=strategy))
        (folder / "market.py").write_text(MARKET)
        exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
        exchange.quote("1999.00", "2001.00")
        approved = spawned(folder, "approve", "--by", "a test", "--why", "it is looked at")
        assert 0 == approved.code, approved.err

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def said(self) -> str:
        """What the last session has said on its standard error."""
        return (self.folder / "err").read_text()

    @property
    def alerts(self) -> list[str]:
        """The titles of what a person was told."""
        path = self.folder / "alerts.jsonl"
        return [json.loads(each)["title"] for each in path.read_text().splitlines()] if path.exists() else []

    @contextmanager
    def session(self, code: str = MAIN) -> Iterator[subprocess.Popen[str]]:
        """A live session, which does not outlive the test."""
        command = [sys.executable, "-c", code, "run"]
        with (
            (self.folder / "err").open("w") as err,
            subprocess.Popen(
                command, cwd=self.folder, stdout=subprocess.PIPE, stderr=err, text=True
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def trades(self, process: subprocess.Popen[str], orders: int = 10) -> None:
        """Wait until so many orders more have reached the exchange."""
        before = self.requests()
        until(lambda: self.requests() >= before + orders or process.poll() is not None, "it does not trade")
        assert process.poll() is None, self.said

    def requests(self) -> int:
        """What has reached the exchange."""
        taken = self.exchange.state()["requests"]
        return sum(taken.get(each, 0) for each in ("order", "cancel", "replace"))

    def recorded(self) -> list[list[Event]]:
        """The events of each run, whose chains are verified."""
        store = open_journal(journal_path(self.state))
        try:
            return [list(read(store, run.run)) for run in all_runs(store)]
        finally:
            store.dispose()

    def known(self) -> Snapshot:
        """What a session that began now would go on from."""
        store = open_journal(journal_path(self.state))
        try:
            known = last_state(store, Run("afterwards", "live", 1 << 62), ACCOUNT, {GOLD.symbol: GOLD})
        finally:
            store.dispose()
        assert known is not None
        return known

    def agree(self) -> None:
        """Let another session begin and end, after which our books and the exchange's are the same."""
        before = len(self.recorded())
        with self.session() as process:
            self.trades(process)
            process.terminate()
            assert 0 == process.wait(PATIENCE), self.said
        runs = self.recorded()
        assert before + 1 == len(runs)
        ids = {each.id for run in runs for each in run if isinstance(each, Order)}
        assert {each["client_order_id"] for each in self.exchange.state()["orders"]} <= ids
        assert [] == self.known().breaks


def in_doubt(known: Snapshot) -> list[str]:
    unclear = (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN)
    return [each.order.id for each in known.working if each.status in unclear]


# A37.


@pytest.mark.parametrize("fault", [None, "lose_answers"])
def test_a_session_that_is_told_to_end_in_a_burst_of_orders_leaves_none_unexplained(tmp_path, exchange, fault):
    """A37."""
    desk = Desk(tmp_path, exchange, "Burst")
    with desk.session() as process:
        desk.trades(process)
        # Each answer takes its time, so that one is waited for when the signal comes.
        exchange.fault("slow", ms=30, of=["order"])
        desk.trades(process, 3)
        if fault:
            exchange.fault(fault, of=["order"], next=1)
            desk.trades(process, 1)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        code = process.wait(PATIENCE)
        seconds = time.monotonic() - began

    assert 0 == code, desk.said
    assert seconds < 5
    (events,) = desk.recorded()
    assert isinstance(events[-1], Finished)
    told = {each.order_id for each in events if isinstance(each, Unknown)}
    assert told == {*in_doubt(desk.known())}
    assert len(told) == (1 if fault else 0)
    missed = {each["trade_id"] for each in exchange.state()["fills"]} - {e.trade_id for e in events if isinstance(e, Fill)}
    print("MISSED", len(missed), "seconds", seconds, desk.said)
    exchange.tell("clear")
    desk.agree()
    assert told.isdisjoint(in_doubt(desk.known()))
