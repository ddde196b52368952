"""What is spread, what is slippage, and that both together are how far the fill was from what was seen."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import Bar, Fill, Instrument, Market, Order, OrderType, Quote, Side
from nicegold_ops.report.costs import Costs, FillCosts, spread_paid

GOLD = Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"), lot_size=Decimal(100), spread=Decimal("0.30"))
BAR = Bar("XAUUSD", 0, 1, 2000.0, 2001.0, 1999.0, 2000.5, spread=0.2)
BARE = Bar("XAUUSD", 0, 1, 2000.0, 2001.0, 1999.0, 2000.5)
QUOTE = Quote("XAUUSD", 1, 2000.0, 2000.5)


def order(side: Side = Side.BUY, kind: OrderType = OrderType.MARKET, **prices: Any) -> Order:
    return Order(symbol="XAUUSD", side=side, quantity=Decimal(2), order_type=kind, id="a-1", **prices)


def fill(price: str, side: Side = Side.BUY, rate: str = "1") -> Fill:
    return Fill(
        order_id="a-1",
        trade_id="t",
        time=2,
        symbol="XAUUSD",
        side=side,
        quantity=Decimal(2),
        price=Decimal(price),
        rate=Decimal(rate),
    )


def costs_of(asked: Order, filled: Fill, seen: float = 2000.0, market: Market = BAR) -> FillCosts:
    costs = FillCosts({"XAUUSD": GOLD})
    costs.order(asked, seen)
    costs.fill(filled, asked, market)
    return costs


@pytest.mark.parametrize(
    ("side", "market", "expected"),
    [
        (Side.BUY, BAR, 0.2),
        (Side.BUY, BARE, 0.3),
        (Side.SELL, BAR, 0.0),
        (Side.BUY, QUOTE, 0.25),
        (Side.SELL, QUOTE, 0.25),
        (Side.BUY, None, 0.0),
    ],
)
def test_the_spread_is_from_the_price_that_values_to_the_side_that_is_traded(side, market, expected):
    assert expected == spread_paid(side, market, GOLD)


def test_a_market_order_slips_from_the_price_that_was_seen_beyond_the_spread():
    costs = costs_of(order(), fill("2000.70"))

    assert pytest.approx(0.2 * 200) == costs.spread
    assert pytest.approx(0.5 * 200) == costs.slippage


def test_a_sale_slips_downwards():
    costs = costs_of(order(Side.SELL), fill("1999.90", Side.SELL))

    assert 0.0 == costs.spread
    assert pytest.approx(0.1 * 200) == costs.slippage


@given(
    side=st.sampled_from(Side),
    price=st.decimals(1900, 2100, places=2),
    seen=st.floats(1900, 2100),
    market=st.sampled_from([BAR, BARE, QUOTE]),
)
def test_spread_and_slippage_of_a_market_order_are_the_shortfall(side, price, seen, market):
    costs = costs_of(order(side), fill(str(price), side), seen, market)

    shortfall = side.sign * (float(price) - seen) * 200
    assert pytest.approx(shortfall, abs=1e-6) == costs.spread + costs.slippage


@pytest.mark.parametrize(
    ("kind", "prices", "expected"),
    [
        (OrderType.LIMIT, {"price": Decimal(2001)}, -0.5),
        (OrderType.STOP, {"stop_price": Decimal(2000)}, 0.5),
        (OrderType.STOP_LIMIT, {"price": Decimal(2001), "stop_price": Decimal(2000)}, 0.5),
    ],
)
def test_an_order_with_a_price_of_its_own_slips_from_there(kind, prices, expected):
    (found,) = costs_of(order(kind=kind, **prices), fill("2000.50")).kinds

    assert (kind, 1, 0) == (found.order_type, found.fills, found.unmeasured)
    assert (expected, expected * 200) == (found.mean, found.money)


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        (order(), math.nan),
        (order(kind=OrderType.TRAILING_STOP, trail=Decimal(1)), 2000.0),
    ],
)
def test_without_an_expected_price_a_fill_is_not_measured(asked, seen):
    costs = costs_of(asked, fill("2000.70"), seen)

    (found,) = costs.kinds
    assert (0, 1) == (found.fills, found.unmeasured)
    assert 0.0 == costs.slippage
    assert costs.histogram is None


def test_money_is_account_currency():
    costs = costs_of(order(), fill("2000.70", rate="0.5"))

    assert pytest.approx(0.5 * 100) == costs.slippage


def test_the_distribution_is_that_of_all_fills():
    costs = FillCosts({"XAUUSD": GOLD})
    for number in range(101):
        costs.order(order(), 2000.0)
        costs.fill(fill(f"{Decimal('2000.20') + Decimal(number) / 100}"), order(), BAR)

    (found,) = costs.kinds
    histogram = costs.histogram
    assert [0.5, 0.5, 0.95, 1.0] == pytest.approx([found.mean, found.median, found.high, found.worst])
    assert histogram is not None
    assert 101 == sum(histogram.counts)
    assert len(histogram.edges) == len(histogram.counts) + 1
    assert histogram.edges[0] <= 0.0


def test_before_costs_is_net_and_all_that_was_paid():
    costs = Costs(commission=Decimal(10), swap=Decimal(-2), spread=5.0, slippage=1.0, net=-4.0)

    assert (14.0, 10.0) == (costs.paid, costs.before)
