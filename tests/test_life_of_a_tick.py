"""The journey of one bar: to an order, a veto, a fill, a halt. Read this first.

Everything below is real: an engine, and plugins that each fit on a few lines. `engine_with` names
the plugins by keyword, in the order in which they are called; `seen` holds what went on record.
"""

from __future__ import annotations

from dataclasses import field
from decimal import Decimal

import pytest

from nicegold import (
    Accepted,
    Bar,
    Event,
    Execution,
    Fill,
    Halted,
    Market,
    Objection,
    Order,
    Placed,
    PluginFailed,
    Portfolio,
    Refused,
    Request,
    Side,
    Vetoed,
    hookimpl,
    plugin,
)
from nicegold.engine import Engine
from nicegold.host import Host
from nicegold.testing import ACCOUNT, GOLD, bar, encoded, engine_with, unwatched


@plugin
class BuyAlways:
    """A strategy: it asks for *quantity* lots on every bar. It asks; it never acts."""

    quantity: Decimal = Decimal("0.10")

    @hookimpl
    def on_bar(self, bar: Bar) -> list[Request]:
        return [Order(symbol=bar.symbol, side=Side.BUY, quantity=self.quantity)]


@plugin
class TakeProfit:
    """A strategy that answers each buy that fills with a sell."""

    @hookimpl
    def on_fill(self, fill: Fill) -> list[Request] | None:
        if fill.side is Side.SELL:
            return None
        return [Order(symbol=fill.symbol, side=Side.SELL, quantity=fill.quantity, reduce_only=True)]


@plugin
class MaxPosition:
    """A risk check: it objects to any order that would leave us holding more than *limit*."""

    limit: Decimal

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        after = portfolio.exposure_after(order)
        if not abs(after) <= self.limit:
            return f"would hold {after} {order.symbol}, limit is {self.limit}"
        return None


@plugin
class MaxLoss:
    """A risk check that asks for a halt once *loss* is lost, in account currency."""

    loss: float

    @hookimpl
    def check_portfolio(self, portfolio: Portfolio) -> str | None:
        lost = float(ACCOUNT.cash) - portfolio.equity
        return f"lost {lost:.2f}" if not lost <= self.loss else None


@plugin
class NextClose:
    """A broker: it takes every order and fills it at the close of the next bar."""

    book: list[Order] = field(default_factory=list)

    @hookimpl
    def place_order(self, order: Order) -> Accepted:
        self.book.append(order)
        return Accepted(order_id=order.id, time=order.time)

    @hookimpl
    def match_orders(self, market: Market) -> list[Execution]:
        filled, self.book = self.book, []
        return [self._fill(order, market) for order in filled if isinstance(market, Bar)]

    def _fill(self, order: Order, bar: Bar) -> Fill:
        return Fill(
            order_id=order.id,
            trade_id=f"trade-{order.id}",
            time=bar.time,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            price=GOLD.to_price(bar.close),
            commission=Decimal("0.70"),
        )


@plugin
class Broken:
    """A plugin of every kind, and each time it fails."""

    @hookimpl
    def on_bar(self) -> None:
        raise RuntimeError("no data")

    @hookimpl
    def check_order(self) -> None:
        raise RuntimeError("no prices")


@plugin
class Dead:
    """A broker whose connection breaks in the middle of an order."""

    @hookimpl
    def place_order(self) -> Placed:
        raise ConnectionError("reset by peer")


def test_a_bar_is_put_on_record_and_moves_the_portfolio():
    engine, seen = engine_with(paper=NextClose())

    engine.handle(bar(2000.0))

    assert ["Bar"] == seen.kinds
    assert 2000.0 == engine.portfolio.price("XAUUSD")


def test_a_bar_that_cannot_be_is_refused_before_anybody_sees_it():
    engine, seen = engine_with(buy=BuyAlways(), paper=NextClose())

    engine.handle(bar(float("nan")))

    assert ["Refused"] == seen.kinds
    assert seen.of(Refused)[0].reason.startswith("these cannot be prices")


def test_a_strategy_asks_on_a_bar_and_the_broker_takes_the_order():
    engine, seen = engine_with(buy=BuyAlways(), paper=NextClose())

    engine.handle(bar(2000.0))

    assert ["Bar", "Order", "Accepted"] == seen.kinds
    (order,) = seen.of(Order)
    assert ("buy-1", "buy", bar().time) == (order.id, order.strategy, order.time)


def test_the_next_bar_fills_it_before_strategies_see_that_bar():
    engine, seen = engine_with(buy=BuyAlways(), paper=NextClose())

    engine.handle(bar(2000.0))
    engine.handle(bar(2001.0, number=1))

    assert ["Bar", "Fill", "Order", "Accepted"] == seen.kinds[3:]
    assert Decimal("0.10") == engine.portfolio.position("XAUUSD").quantity
    assert Decimal("99999.30") == engine.portfolio.cash


def test_a_fill_is_told_to_strategies_and_they_may_ask_again():
    engine, seen = engine_with(buy=BuyAlways(), sell=TakeProfit(), paper=NextClose())

    engine.handle(bar(2000.0))
    engine.handle(bar(2001.0, number=1))

    assert ["Fill", "Order", "Accepted"] == seen.kinds[4:7]
    assert ["buy-1", "sell-1", "buy-2"] == [order.id for order in seen.of(Order)]


def test_an_order_that_risk_objects_to_does_not_leave():
    paper = NextClose()
    engine, seen = engine_with(buy=BuyAlways(), limit=MaxPosition(limit=Decimal("0.05")), paper=paper)

    engine.handle(bar(2000.0))

    assert ["Bar", "Vetoed"] == seen.kinds
    assert [] == paper.book


def test_a_veto_says_who_objected_and_why():
    small, tiny = MaxPosition(limit=Decimal("0.05")), MaxPosition(limit=Decimal("0.01"))
    engine, seen = engine_with(buy=BuyAlways(), small=small, tiny=tiny, paper=NextClose())

    engine.handle(bar(2000.0))

    assert [
        Objection("small", "would hold 0.10 XAUUSD, limit is 0.05"),
        Objection("tiny", "would hold 0.10 XAUUSD, limit is 0.01"),
    ] == seen.of(Vetoed)[0].objections


def test_an_order_on_its_way_counts_as_exposure():
    engine, seen = engine_with(
        a=BuyAlways(), b=BuyAlways(), limit=MaxPosition(limit=Decimal("0.15")), paper=NextClose()
    )

    engine.handle(bar(2000.0))

    assert ["Bar", "Order", "Accepted", "Vetoed"] == seen.kinds


def test_a_risk_check_that_fails_is_an_objection():
    engine, seen = engine_with(buy=BuyAlways(), broken=Broken(), paper=NextClose())

    engine.handle(bar(2000.0))

    assert [Objection("broken", "failed: RuntimeError: no prices")] == seen.of(Vetoed)[0].objections


def test_a_strategy_that_fails_takes_nobody_with_it():
    class Fails:
        on_bar = Broken.on_bar

    engine, seen = engine_with(broken=Fails(), buy=BuyAlways(), paper=NextClose())

    engine.handle(bar(2000.0))

    assert ["Bar", "PluginFailed", "Order", "Accepted"] == seen.kinds
    assert ("broken", "on_bar") == (seen.of(PluginFailed)[0].plugin, seen.of(PluginFailed)[0].hook)


def test_a_broker_that_fails_is_not_followed_by_another():
    """The venue may have the order: sending it again elsewhere could buy twice."""
    paper = NextClose()
    engine, seen = engine_with(buy=BuyAlways(), dead=Dead(), paper=paper)

    engine.handle(bar(2000.0))

    assert ["Bar", "Order", "Unknown"] == seen.kinds
    assert [] == paper.book


def test_an_order_is_on_record_before_it_leaves():
    def record(event: Event) -> None:
        if isinstance(event, Order):
            raise OSError("disk full")

    paper = NextClose()
    host = Host(unwatched, {"buy": BuyAlways(), "paper": paper})
    engine = Engine(host, record, Portfolio(ACCOUNT, {"XAUUSD": GOLD}))

    with pytest.raises(OSError, match="disk full"):
        engine.handle(bar(2000.0))

    assert [] == paper.book


def test_when_risk_asks_for_a_halt_no_new_risk_is_taken():
    engine, seen = engine_with(buy=BuyAlways(), loss=MaxLoss(loss=50.0), paper=NextClose())

    for number, close in enumerate([2000.0, 2000.0, 1990.0]):
        engine.handle(bar(close, number=number))

    (halted,) = seen.of(Halted)
    assert ("loss", "lost 101.40") == (halted.plugin, halted.reason)
    assert [Objection("engine", "halted: lost 101.40")] == seen.of(Vetoed)[0].objections


def test_what_only_reduces_still_leaves_after_a_halt():
    engine, seen = engine_with(buy=BuyAlways(), sell=TakeProfit(), paper=NextClose())
    engine.handle(bar(2000.0))

    engine.halt("operator", "going home")
    engine.handle(bar(2001.0, number=1))

    assert ["sell-1"] == [order.id for order in seen.of(Order)[1:]]
    assert ["buy-2"] == [veto.order.id for veto in seen.of(Vetoed)]


def test_the_same_bars_give_the_same_bytes():
    def told() -> bytes:
        engine, seen = engine_with(buy=BuyAlways(), sell=TakeProfit(), paper=NextClose())
        for number in range(20):
            engine.handle(bar(2000.0 + number % 7, number=number))
        engine.finish("the feed ended")
        return encoded(seen.events)

    assert told() == told()
