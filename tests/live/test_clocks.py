"""A live session whose wall clock goes wrong, at an exchange whose clock is right (A18 and A19).

Time-outs, the pace of questions and liveness go by clocks that never step, and the lock by none: what a
wrong clock does is to stop new orders.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from nicegold import Break, Event, Fill, Mended, Order
from nicegold_ops import reconciler, session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.journal import Run, journal_path, numbered, open_journal, read
from nicegold_ops.store.tables import blocks
from tests.exchange.client import PATIENCE, Exchange, exchange, until
from tests.live.trader import settings_of

#: The fixture.
__all__ = ["exchange"]

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
RUN = Run("live-1", "live", 1)
CLOCK = ("venue", "clock", "UTC")


class Wall:
    """The machine's clock, as right as the exchange's until it is set."""

    def __init__(self) -> None:
        self._ahead, self._stands_at = 0, 0

    def __call__(self) -> int:
        return self._stands_at or time.time_ns() + self._ahead

    def set(self, ahead: int) -> None:
        self._ahead, self._stands_at = ahead, 0

    def stop(self) -> None:
        self._stands_at = self()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch, exchange: Exchange) -> None:
    monkeypatch.setattr(reconciler, "EVERY", 0.05)
    monkeypatch.setattr(reconciler, "SOON", 0.05)
    exchange.tell("symbol", symbol="XAUUSD", lot_size="100", commission="7")
    exchange.quote("1999.00", "2001.00")


@contextmanager
def trading(folder: Path, exchange: Exchange, wall: Wall) -> Iterator[App]:
    """A session that turns its lot over as fast as answers come, by *wall*."""
    (folder / "runs" / RUN.run).mkdir(parents=True)
    app = bootstrap(settings_of(folder, exchange.port, 0), RUN, wall=wall)
    venue = app.host.plugins["venue"].plugin
    venue.clock = wall  # type: ignore[attr-defined]
    stop = threading.Event()
    thread = threading.Thread(target=session.paper, args=(app,), kwargs={"stop": stop})
    thread.start()
    try:
        yield app
    finally:
        stop.set()
        thread.join(PATIENCE)
        app.close()


def statements_asked(state: Any) -> int:
    asked: int = state["requests"].get("statement", 0)
    return asked


def trades(exchange: Exchange, more: int = 4) -> None:
    """Wait until the exchange has *more* orders than now, and was asked twice for all that it has."""
    before = exchange.state()

    def has_gone_on(state: Any) -> bool:
        is_asked = statements_asked(state) >= statements_asked(before) + 2
        return is_asked and len(state["orders"]) >= len(before["orders"]) + more

    exchange.until(has_gone_on)


def settle(exchange: Exchange) -> None:
    """Let the exchange refuse orders: another is sent only once it is known what became of the last."""
    exchange.fault("reject", reason="the day is over")
    exchange.until(lambda state: any(each["status"] == "rejected" for each in state["orders"]))


def recorded(folder: Path) -> list[Event]:
    """What is on record, once nothing is lost, doubled or out of its place there."""
    store = open_journal(journal_path(folder))
    try:
        told = list(numbered(read(store, RUN.run)))
        with store.connect() as connection:
            spans = connection.execute(
                blocks.select().where(blocks.c.run == RUN.run).order_by(blocks.c.number)
            ).all()
    finally:
        store.dispose()
    assert list(range(1, len(told) + 1)) == [number for number, _ in told]
    assert [1, *(each.last_sequence + 1 for each in spans[:-1])] == [each.first_sequence for each in spans]
    return [event for _, event in told]


def agree(events: list[Event], app: App, exchange: Exchange) -> None:
    """Each order is at the exchange once, and each of its trades is in our books once."""
    state = exchange.state()
    theirs = [each["client_order_id"] for each in state["orders"]]
    ours = [event.id for event in events if isinstance(event, Order)]
    assert sorted(set(theirs)) == sorted(theirs)
    assert sorted(set(ours)) == sorted(ours)
    assert set(theirs) <= set(ours)
    trades = [event.trade_id for event in events if isinstance(event, Fill)]
    assert {each["trade_id"] for each in state["fills"]} == set(trades)
    held = app.portfolio.position("XAUUSD").quantity
    assert Decimal(state["positions"].get("XAUUSD", "0")) == held


WRONG: dict[str, Callable[[Wall], None]] = {
    "an hour back": lambda wall: wall.set(-HOUR),
    "an hour forward": lambda wall: wall.set(HOUR),
    "it stands still": Wall.stop,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_clock_stops_new_orders_until_it_is_right_and_loses_none(tmp_path, exchange, wrong):
    wall = Wall()
    with trading(tmp_path, exchange, wall) as app:
        trades(exchange)
        exchange.fault("lose_answers", next=1, of=["order"])

        WRONG[wrong](wall)
        until(lambda: CLOCK in list(app.portfolio.breaks), "nobody noticed the clock")
        assert app.liveness()[0]
        with pytest.raises(ConfigurationError, match="another engine"):
            bootstrap(settings_of(tmp_path, exchange.port, 0), Run("live-2", "live", 2), wall=wall)
        wall.set(0)
        trades(exchange)
        settle(exchange)

    events = recorded(tmp_path)
    first = next(number for number, each in enumerate(events) if isinstance(each, Break))
    blocked = list(takewhile(lambda each: not isinstance(each, Mended), events[first:]))
    assert "clock" == events[first].kind  # type: ignore[attr-defined]
    assert not any(isinstance(each, Order) for each in blocked)
    agree(events, app, exchange)


def test_a_leap_second_is_within_what_clocks_may_differ(tmp_path, exchange):
    wall = Wall()
    with trading(tmp_path, exchange, wall) as app:
        trades(exchange)
        wall.set(-SECOND)
        trades(exchange)
        settle(exchange)

    events = recorded(tmp_path)
    assert not any(isinstance(each, Break) for each in events)
    agree(events, app, exchange)


def test_daylight_saving_changes_nothing(tmp_path, exchange, monkeypatch):
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    with trading(tmp_path, exchange, Wall()) as app:
        trades(exchange)
        monkeypatch.setenv("TZ", "EDT4")
        time.tzset()
        trades(exchange)
        settle(exchange)
    monkeypatch.undo()
    time.tzset()

    events = recorded(tmp_path)
    assert not any(isinstance(each, Break) for each in events)
    agree(events, app, exchange)
