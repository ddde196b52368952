from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import field
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from nicegold import (
    Accepted,
    Bar,
    Fill,
    Halted,
    HaltLifted,
    Order,
    PluginFailed,
    Portfolio,
    Refused,
    Side,
    hookimpl,
    plugin,
)
from nicegold.testing import ACCOUNT, GOLD, START, bar
from nicegold_ops import session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import PluginSettings, RunSettings, Settings
from nicegold_ops.journal import BLOCK_SIZE, Run, read
from nicegold_plugins.brokers.paper import Paper
from tests.services.prometheus import until

SILVER = replace(GOLD, symbol="XAGUSD")
LIFTED = HaltLifted(reason="all is well", time=START)
FILL = Fill(
    order_id="desk-1",
    trade_id="1",
    time=START,
    symbol="XAUUSD",
    side=Side.BUY,
    quantity=Decimal(1),
    price=Decimal(1),
)
BUY = Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal("0.10"))


@plugin
class Gold:
    """Bars of gold."""

    @hookimpl
    def stream_market(self) -> Iterator[Any]:
        for number in range(4):
            yield bar(number=number)


@plugin
class Liar:
    """Bars of silver, and in between what is no price, or is one that cannot be."""

    @hookimpl
    def stream_market(self) -> Iterator[Any]:
        yield bar(symbol="XAGUSD", number=0)
        yield "garbage"
        yield LIFTED
        yield FILL
        yield replace(bar(symbol="XAGUSD", number=1), close=math.nan)
        yield replace(bar(symbol="XAGUSD", number=1), close="1")
        yield replace(bar(symbol="XAGUSD", number=1), time="soon")
        yield bar(symbol="XAGUSD", number=2)


@plugin
class Desk:
    """A venue whose word on anything but executions is worth nothing."""

    @hookimpl
    def place_order(self, order: Order) -> Accepted:
        return Accepted(order_id=order.id, time=order.time)

    @hookimpl
    def stream_executions(self) -> Iterator[Any]:
        yield bar(number=0)
        yield LIFTED
        yield Portfolio(replace(ACCOUNT, cash=Decimal(7)), {}).snapshot({})


@plugin
class Endless:
    """Bars of gold, without a pause that would be noticed, until the test has seen enough."""

    seen: threading.Event = field(default_factory=threading.Event)

    @hookimpl
    def stream_market(self) -> Iterator[Any]:
        numbers = count()
        while not self.seen.wait(0.002):
            yield bar(number=next(numbers))


@plugin
class Eager:
    """Buys at the first bar."""

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        return None if portfolio.orders or portfolio.positions else [BUY]


def app_of(folder: Path, mode: Any, *plugins: type, wall: Callable[[], int] = lambda: 7) -> App:
    settings = Settings(
        run=RunSettings(mode=mode, cash=ACCOUNT.cash, currency=ACCOUNT.currency, state=folder),
        instruments={each.symbol: each for each in (GOLD, SILVER)},
        plugins=tuple(
            PluginSettings(name=kind.__name__.lower(), use="", values={}, place="", plugin=kind)
            for kind in plugins
        ),
        text="",
    )
    return bootstrap(settings, Run("run", mode, 1), wall=wall)


def lived(app: App) -> list[Any]:
    if app.run.mode == "paper":
        session.paper(app, stop=threading.Event())
    else:
        session.backtest(app)
    return list(read(app.store, "run"))


@pytest.mark.parametrize("mode", ["backtest", "paper"])
def test_a_feed_tells_prices_and_what_else_it_yields_is_refused(mode, tmp_path):
    app = app_of(tmp_path, mode, Gold, Liar, Paper)

    events = lived(app)

    refused = [each.reason for each in events if isinstance(each, Refused)]
    assert 6 == len(refused)
    assert ["yielded 'garbage'", "yielded HaltLifted(", "yielded Fill("] == [
        each[: each.index("(") + 1 if "(" in each else each.index(",")] for each in refused[:3]
    ]
    assert not any(isinstance(each, HaltLifted | Fill) for each in events)
    # The account is worth what it was: a price that cannot be values nothing.
    assert {float(ACCOUNT.cash)} == {each.equity for each in app.curve.points}
    app.close()


def test_a_broker_tells_executions_and_what_else_it_yields_halts(tmp_path):
    app = app_of(tmp_path, "paper", Gold, Desk)

    events = lived(app)

    failed = [each.error for each in events if isinstance(each, PluginFailed)]
    assert [each.split("(")[0] for each in failed] == [
        "yielded Bar",
        "yielded HaltLifted",
        "yielded Snapshot",
    ]
    assert all(each.endswith("not an execution") for each in failed)
    assert [Halted] == [type(each) for each in events if isinstance(each, Halted | HaltLifted)]
    assert ACCOUNT.cash == app.portfolio.cash
    app.close()


@plugin
class Hourly:
    """A live feed of hourly bars."""

    timeframe: str = "H1"

    @hookimpl
    def stream_market(self) -> Iterator[Any]:
        yield bar()


@pytest.mark.parametrize(("feed", "interval", "patience"), [(Gold, 20.0, 60.0), (Hourly, 3600.0, 3 * 3600.0)])
def test_a_live_feed_of_long_bars_may_be_silent_as_long_as_they_last(feed, interval, patience, tmp_path):
    app = app_of(tmp_path, "paper", feed, Paper)

    expected = app.telemetry.registry.get_sample_value(
        "nicegold_feed_expected_interval_seconds", {"feed": feed.__name__.lower()}
    )

    assert interval == expected
    assert patience == app.telemetry.registry.get_sample_value("nicegold_engine_patience_seconds")
    assert patience == app.liveness()[1]["patience_seconds"]
    app.close()


def test_a_session_tells_how_fast_its_orders_were_accepted(tmp_path):
    app = app_of(tmp_path, "paper", Gold, Eager, Paper)

    lived(app)

    count = app.telemetry.registry.get_sample_value(
        "nicegold_order_ack_duration_seconds_count", {"broker": "paper"}
    )
    assert 1.0 == count
    app.close()


def test_what_happens_is_on_the_disk_within_a_second_also_while_the_market_goes_on(tmp_path):
    times = count(7, 100_000_000)
    app = app_of(tmp_path, "paper", Endless, Paper, wall=lambda: next(times))
    feed: Any = app.host.plugins["endless"].plugin
    thread = threading.Thread(target=session.paper, args=(app,), kwargs={"stop": threading.Event()})
    thread.start()

    def known() -> int:
        return sum(isinstance(each, Bar) for each in read(app.store, "run"))

    try:
        until(lambda: known() > 0, "no bar is on the disk")
        before = known()
        until(lambda: known() > before, "no more bar is")
    finally:
        feed.seen.set()
        thread.join()
    assert known() < BLOCK_SIZE
    app.close()
