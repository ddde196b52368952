"""Small real things to test with: an engine with your plugins, a recorder, bars, and the checks
that every plugin of a kind has to pass.

Also a pytest plugin: the fixture `recorder` is there wherever nicegold is installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from nicegold.answers import Reply
from nicegold.engine import Engine
from nicegold.host import Call, Host, PluginRefused
from nicegold.model import (
    Accepted,
    Account,
    Bar,
    Event,
    Fill,
    Instrument,
    Order,
    Placed,
    Quote,
    Rejected,
    Side,
    Started,
)
from nicegold.portfolio import Portfolio
from nicegold.sessions import SECOND

GOLD = Instrument(
    symbol="XAUUSD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal(100),
    quantity_step=Decimal("0.01"),
)
ACCOUNT = Account(cash=Decimal(100_000), currency="USD")
MINUTE = 60 * SECOND
#: 2026-01-05T00:00:00Z, a Monday.
START = 1_767_571_200 * SECOND


def unwatched(hook: str, plugin: str, call: Call) -> Call:
    """The observe port for tests: nobody looks."""
    return call


class Recorder:
    """The record port for tests: keeps what it is told, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def kinds(self) -> list[str]:
        """The names of the events, without the run's first."""
        return [type(event).__name__ for event in self.events if not isinstance(event, Started)]

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one *kind*."""
        return [event for event in self.events if isinstance(event, kind)]


def bar(
    close: float = 2000.0,
    *,
    number: int = 0,
    symbol: str = "XAUUSD",
    length: int = MINUTE,
    open: float | None = None,
    high: float | None = None,
    low: float | None = None,
    volume: float = 0.0,
    spread: float = 0.0,
) -> Bar:
    """The *number*-th bar of *length* ns since `START`; prices that are not given follow *close*."""
    opened = close if open is None else open
    start = START + number * length
    return Bar(
        symbol=symbol,
        start=start,
        time=start + length,
        open=opened,
        high=max(opened, close) if high is None else high,
        low=min(opened, close) if low is None else low,
        close=close,
        volume=volume,
        spread=spread,
    )


def quote(bid: float, ask: float, *, number: int = 0, symbol: str = "XAUUSD", size: float = 0.0) -> Quote:
    """The *number*-th quote, one a second since `START`."""
    return Quote(symbol, START + number * SECOND, bid, ask, size, size)


def engine_with(
    *, instruments: Mapping[str, Instrument] | None = None, account: Account = ACCOUNT, **plugins: object
) -> tuple[Engine, Recorder]:
    """An engine that has started with *plugins*, named by keyword in the order of their calls."""
    recorder = Recorder()
    traded = instruments or {"XAUUSD": GOLD}
    engine = Engine(Host(unwatched, plugins), recorder, Portfolio(account, traded))
    failures = engine.start(
        Started(
            version="test",
            seed=7,
            cash=account.cash,
            currency=account.currency,
            instruments=list(traded.values()),
            configuration="",
            sources={},
        )
    )
    for failure in failures:
        raise AssertionError(f"{failure.plugin} did not start: {failure.reason}")
    return engine, recorder


def market_order(side: Side = Side.BUY, quantity: str = "0.10", **terms: Any) -> Order:
    """An order for gold, as an engine would hand it to a broker or a risk check."""
    terms.setdefault("id", "test-1")
    terms.setdefault("strategy", "test")
    terms.setdefault("time", START)
    return Order(symbol="XAUUSD", side=side, quantity=Decimal(quantity), **terms)


# What every plugin of a kind has to pass.


def check_conformance(make: Callable[[], object]) -> None:
    """Raise AssertionError where the plugin that *make* builds breaks the contract of its kind.

    *make* is called for a fresh plugin whenever one is needed.
    """
    host = _hosted(make())
    kinds = host.plugins["it"].hooks
    assert kinds, "it implements no hook; mark its methods with @hookimpl"
    for hook, check in _CHECKS.items():
        if hook in kinds:
            check(make)


def _hosted(plugin: object) -> Host:
    try:
        return Host(unwatched, {"it": plugin})
    except PluginRefused as error:
        raise AssertionError(str(error)) from None


def _started(make: Callable[[], object]) -> tuple[Host, Portfolio]:
    host, portfolio = _hosted(make()), Portfolio(ACCOUNT, {"XAUUSD": GOLD})
    _sound(host.call("startup")(portfolio.instruments, ACCOUNT, 7))
    return host, portfolio


def _sound(replies: Any) -> list[Reply]:
    for reply in replies:
        assert reply.error is None, f"{reply.hook} {reply.reason}"
    return list(replies)


def _check_strategy(make: Callable[[], object]) -> None:
    """Two of it answer the same to the same bars, and flat, wild or missing prices do not break it."""

    def answers() -> list[object]:
        host, portfolio = _started(make)
        said: list[object] = []
        for number in range(120):
            seen = bar(2000.0 + 40.0 * math.sin(number / 7), number=number)
            portfolio.apply(seen)
            said += [reply.value for reply in _sound(host.call("on_bar")(seen, portfolio))]
        return said

    assert answers() == answers(), "it must decide the same on the same bars: no clock, no global randomness"


def _check_risk(make: Callable[[], object]) -> None:
    """It answers about an order when there is no price yet, and when there is."""
    host, portfolio = _started(make)
    order = market_order()
    _sound(host.call("check_order")(order, portfolio))
    portfolio.apply(bar(2000.0))
    _sound(host.call("check_order")(order, portfolio))


def _check_broker(make: Callable[[], object]) -> None:
    """It answers about the order it was given, by its id."""
    host, portfolio = _started(make)
    portfolio.apply(bar(2000.0))
    for reply in _sound(host.call("place_order")(market_order())):
        answer: Placed | Accepted | Rejected = reply.value
        assert answer.order_id == "test-1", f"it answered about {answer.order_id}, not about test-1"


def _check_feed(make: Callable[[], object]) -> None:
    """What it yields are sound market events whose time does not run backwards."""
    host, portfolio = _started(make)
    last: dict[str, int] = {}
    for reply in _sound(host.call("stream_market")(portfolio.instruments, lambda defect: None)):
        for _, event in zip(range(1000), reply.value, strict=False):
            assert isinstance(event, Bar | Quote), f"it yielded {event!r}"
            assert event.is_sound, f"these cannot be prices: {event}"
            assert event.time >= last.get(event.symbol, 0), f"time runs backwards: {event}"
            last[event.symbol] = event.time


def _check_watcher(make: Callable[[], object]) -> None:
    """It looks at every kind of event without failing."""
    host, _ = _started(make)
    order = market_order()
    fill = Fill(
        order_id=order.id,
        trade_id="t-1",
        time=START,
        symbol="XAUUSD",
        side=Side.BUY,
        quantity=order.quantity,
        price=Decimal(2000),
    )
    for event in (bar(), quote(2000.0, 2000.2), order, fill):
        _sound(host.call("on_event")(event))


_CHECKS: dict[str, Callable[[Callable[[], object]], None]] = {
    "on_bar": _check_strategy,
    "check_order": _check_risk,
    "place_order": _check_broker,
    "stream_market": _check_feed,
    "on_event": _check_watcher,
}


@pytest.fixture
def recorder() -> Recorder:
    """A `Recorder` of its own for each test."""
    return Recorder()


def encoded(events: list[Event]) -> bytes:
    """The bytes of *events*, for comparing runs."""
    return msgspec.json.encode(events)
