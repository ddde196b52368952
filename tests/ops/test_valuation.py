"""What the account was worth, worked out together, is what the portfolio says after each event."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import Account, Bar, Fill, Instrument, Market, Order, Portfolio, Quote, Side, Swap
from nicegold_ops import valuation
from nicegold_ops.curve import Curve
from nicegold_ops.valuation import Valuation

INSTRUMENTS = {
    each.symbol: each
    for each in (
        Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"), lot_size=Decimal(100)),
        Instrument(symbol="USDJPY", tick_size=Decimal("0.001"), lot_size=Decimal(1000), currency="JPY"),
        Instrument(symbol="GBPJPY", tick_size=Decimal("0.001"), lot_size=Decimal(1000), currency="JPY"),
        Instrument(symbol="EURGBP", tick_size=Decimal("0.00001"), lot_size=Decimal(1000), currency="GBP"),
        Instrument(symbol="GBPUSD", tick_size=Decimal("0.00001"), lot_size=Decimal(1000)),
    )
}
SYMBOLS = list(INSTRUMENTS)

#: Symbol, side, lots and price.
Trade: TypeAlias = tuple[str, Side, int, int]

prices = st.floats(0.5, 2000.0).map(lambda price: round(price, 3))
bars = st.builds(
    lambda symbol, time, price: Bar(symbol, time - 1, time, price, price, price, price),
    st.sampled_from(SYMBOLS),
    st.integers(1, 50),
    prices,
)
quotes = st.builds(
    lambda symbol, time, bid: Quote(symbol, time, bid, bid + 0.5),
    st.sampled_from(SYMBOLS),
    st.integers(1, 50),
    prices,
)
swaps = st.integers(-9, 9).map(lambda amount: Swap(symbol="XAUUSD", time=1, amount=Decimal(amount)))
trades = st.tuples(
    st.sampled_from(SYMBOLS), st.sampled_from(list(Side)), st.integers(1, 3), st.integers(1, 1999)
)
steps = st.tuples(st.one_of(bars, quotes), st.lists(st.one_of(trades, swaps), max_size=2))


def fill_of(number: int, trade: Trade, portfolio: Portfolio) -> Fill:
    symbol, side, quantity, price = trade
    return Fill(
        order_id=f"cross-{number}",
        trade_id=f"venue-{number}",
        time=1,
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        rate=portfolio.rate(INSTRUMENTS[symbol].currency),
    )


def opened() -> Portfolio:
    """A portfolio that knows every rate."""
    portfolio = Portfolio(Account(Decimal(100_000), "USD"), INSTRUMENTS)
    for symbol in ("USDJPY", "GBPUSD"):
        portfolio.apply(Bar(symbol, 0, 1, 1.25, 1.25, 1.25, 1.25))
    return portfolio


@given(history=st.lists(steps, min_size=1, max_size=30), chunk=st.integers(1, 12))
def test_worked_out_together_it_is_what_the_portfolio_says_after_each_event(history, chunk):
    portfolio = opened()
    at_once, one_by_one = Curve(1e5, lambda time: time), Curve(1e5, lambda time: time)
    together = Valuation(portfolio, at_once)
    for number, (market, happens) in enumerate(history):
        _handle(portfolio, number, market, happens)
        together.take(market)
        one_by_one.extend([portfolio.time], np.array([portfolio.equity]), np.array([portfolio.is_exposed]))
        if number % chunk == 0:
            together.settle()

    together.settle()

    assert [each.time for each in one_by_one.points] == [each.time for each in at_once.points]
    assert [each.equity for each in one_by_one.points] == pytest.approx(
        [each.equity for each in at_once.points], rel=1e-12
    )
    assert one_by_one.exposure == at_once.exposure
    assert one_by_one.samples == at_once.samples


def _handle(portfolio: Portfolio, number: int, market: Market, happens: list[Trade | Swap]) -> None:
    portfolio.apply(market)
    for count, each in enumerate(happens):
        event = each if isinstance(each, Swap) else fill_of(10 * number + count, each, portfolio)
        portfolio.apply(event)


def test_it_settles_by_itself_before_it_holds_much(monkeypatch):
    monkeypatch.setattr(valuation, "_CHUNK", 10)
    curve = Curve(1e5, lambda time: time)
    together = Valuation(opened(), curve)

    for number in range(25):
        together.take(Bar("XAUUSD", number, number + 1, 2.0, 2.0, 2.0, 2.0))

    assert 20 == curve.samples


def test_a_working_order_is_no_stake():
    portfolio = opened()
    portfolio.apply(Order(id="cross-1", symbol="XAUUSD", side=Side.BUY, quantity=Decimal(1)))

    assert (100_000.0, {}) == portfolio.stakes
