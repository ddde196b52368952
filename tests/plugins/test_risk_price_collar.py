from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import Order, OrderType, Side
from nicegold.testing import check_conformance, market_order
from nicegold_plugins.risk.price_collar import PriceCollar
from tests.plugins.books import books, limit_order, reducing, replies_of_two, stop_order


def collar(percent: str = "5") -> PriceCollar:
    return PriceCollar(percent=Decimal(percent))


MAKES: list[Callable[..., Order]] = [limit_order, stop_order]


@given(cents=st.integers(1, 500_000), side=st.sampled_from(Side), make=st.sampled_from(MAKES))
def test_a_price_passes_exactly_when_it_is_within_the_percentage_of_the_last(cents, side, make):
    order = make(str(Decimal(cents) / 100), side)

    objection = collar().check_order(order, books(price=2000.0))

    assert (190_000 <= cents <= 210_000) == (objection is None)


def test_it_says_the_price_how_far_away_it_is_and_the_limit():
    check = collar().check_order

    limit, stop = check(limit_order("2200.00"), books()), check(stop_order("1800.00"), books())

    assert "price 2200.00 is 10.00 % from the last price 2000.0, limit is 5 %" == limit
    assert "stop_price 1800.00 is 10.00 % from the last price 2000.0, limit is 5 %" == stop


def test_both_prices_of_a_stop_limit_are_looked_at():
    terms: dict[str, Any] = {"order_type": OrderType.STOP_LIMIT, "stop_price": Decimal(2010)}

    assert collar().check_order(market_order(price=Decimal(2020), **terms), books()) is None
    assert collar().check_order(market_order(price=Decimal(2200), **terms), books()) is not None


def test_the_trail_of_a_trailing_stop_is_a_distance():
    near, far = (
        market_order(order_type=OrderType.TRAILING_STOP, trail=Decimal(trail)) for trail in (100, 101)
    )

    assert collar().check_order(near, books()) is None
    objection = collar().check_order(far, books())
    assert "trail 101 is 5.05 % from the last price 2000.0, limit is 5 %" == objection


@pytest.mark.parametrize("price", [None, nan, inf])
@pytest.mark.parametrize("order", [market_order(), limit_order("2000.00")], ids=["market", "limit"])
def test_without_a_last_price_it_objects(order, price):
    objection = collar().check_order(order, books(price=price))

    assert objection is not None
    assert objection.startswith("there is no market to compare with: the last price of XAUUSD is")


def test_a_market_order_passes_when_there_is_a_price():
    assert collar().check_order(market_order(), books()) is None


def test_an_order_that_can_only_reduce_passes_since_a_stop_far_away_is_better_than_none():
    assert collar().check_order(reducing(stop_order("1000.00", Side.SELL)), books(held="1.00")) is None


def test_two_with_equal_limits_both_object():
    replies = replies_of_two(collar, "check_order", limit_order("9000.00"), books())

    assert ["one", "other"] == [reply.plugin for reply in replies]


@pytest.mark.parametrize("percent", ["0", "-1", "NaN"])
def test_a_percentage_that_makes_no_sense_is_refused(percent):
    with pytest.raises(ValueError, match=f"percent must be above 0: it is {percent}"):
        collar(percent)


def test_it_keeps_the_contract_of_a_risk_check():
    check_conformance(collar)
