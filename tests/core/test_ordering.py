"""The orders that strategies most often ask for."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import Fill, Order, OrderType, Portfolio, Side, bracket, reach
from nicegold.testing import ACCOUNT, GOLD, START, market_order

LOTS = st.integers(-20, 20).map(lambda tenths: Decimal(tenths) / 10)


def holding(lots: Decimal, strategy: str = "s", portfolio: Portfolio | None = None) -> Portfolio:
    """A portfolio in which *strategy* has traded *lots*."""
    portfolio = portfolio or Portfolio(ACCOUNT, {"XAUUSD": GOLD})
    if lots:
        portfolio.apply(
            Fill(
                order_id=f"{strategy}-0",
                trade_id="t",
                time=START,
                symbol="XAUUSD",
                side=Side.BUY if lots > 0 else Side.SELL,
                quantity=abs(lots),
                price=Decimal(2000),
                strategy=strategy,
            )
        )
    return portfolio


@given(LOTS, LOTS, LOTS)
def test_reach_asks_for_exactly_what_is_missing(held, others, target):
    portfolio = holding(others, "o", holding(held))

    orders = reach(target, "XAUUSD", "s", portfolio)

    assert target == held + sum((order.signed_quantity for order in orders), Decimal(0))
    assert len(orders) == (target != held)


@given(LOTS, LOTS, LOTS)
def test_reach_only_reduces_where_nobody_ends_up_with_more(held, others, target):
    portfolio = holding(others, "o", holding(held))

    for order in reach(target, "XAUUSD", "s", portfolio):
        account = portfolio.position("XAUUSD").quantity
        for before in (held, account):
            after = before + order.signed_quantity
            assert not order.reduce_only or (abs(after) < abs(before) and before * after >= 0)


def test_reach_counts_what_is_on_its_way():
    portfolio = holding(Decimal(1))
    portfolio.apply(market_order(Side.BUY, "0.5", id="s-1", strategy="s"))

    (order,) = reach(Decimal(0), "XAUUSD", "s", portfolio)

    assert (Side.SELL, Decimal("1.5")) == (order.side, order.quantity)


@pytest.mark.parametrize(
    ("side", "stop_loss", "take_profit"), [(Side.BUY, "1990", "2020"), (Side.SELL, "2010", "1980")]
)
def test_a_bracket_is_an_entry_with_two_exits_that_exclude_each_other(side, stop_loss, take_profit):
    entry = Order(symbol="XAUUSD", side=side, quantity=Decimal(1))

    first, stop, target = bracket(entry, stop_loss=Decimal(stop_loss), take_profit=Decimal(take_profit))

    assert msgspec.structs.replace(entry, id=first.id) == first
    assert (OrderType.STOP, Decimal(stop_loss)) == (stop.order_type, stop.stop_price)
    assert (OrderType.LIMIT, Decimal(take_profit)) == (target.order_type, target.price)
    for leg in (stop, target):
        assert (side.opposite, Decimal(1), True) == (leg.side, leg.quantity, leg.reduce_only)
        assert first.id == leg.parent
    assert stop.oco == target.oco != ""


@pytest.mark.parametrize(
    ("side", "stop_loss", "take_profit", "message"),
    [
        (Side.BUY, "2020", "1990", "a buy needs its stop_loss (2020) below its take_profit (1990)"),
        (Side.SELL, "1980", "2010", "a sell needs its stop_loss (1980) above its take_profit (2010)"),
        (Side.BUY, "2000", "2000", "a buy needs its stop_loss (2000) below its take_profit (2000)"),
    ],
)
def test_a_bracket_with_its_legs_swapped_is_refused(side, stop_loss, take_profit, message):
    entry = Order(symbol="XAUUSD", side=side, quantity=Decimal(1))

    with pytest.raises(ValueError, match=re.escape(f"bracket for XAUUSD: {message}")):
        bracket(entry, stop_loss=Decimal(stop_loss), take_profit=Decimal(take_profit))
