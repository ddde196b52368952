from __future__ import annotations

from decimal import Decimal
from math import inf, nan

import pytest
from msgspec.structs import replace

from nicegold import Instrument, Order, Portfolio, Side
from nicegold.testing import ACCOUNT, bar, check_conformance, market_order
from nicegold_plugins.risk.max_order_value import MaxOrderValue
from tests.plugins.books import books, limit_order, reducing, replies_of_two, stop_order


def limited(limit: str = "20000") -> MaxOrderValue:
    return MaxOrderValue(limit=Decimal(limit))


def test_an_order_up_to_the_limit_passes_and_one_beyond_is_objected_to():
    check = limited().check_order
    a_tenth_of_a_lot_at_2000 = market_order(quantity="0.10")

    assert check(a_tenth_of_a_lot_at_2000, books()) is None
    objection = check(market_order(Side.SELL, "0.11"), books())
    assert "is worth 22000.00 USD, limit is 20000 USD" == objection


def test_the_order_is_worth_what_its_own_price_makes_it_if_that_is_more():
    check = limited().check_order

    assert "is worth 20010.00 USD, limit is 20000 USD" == check(limit_order("2001.00"), books())
    assert "is worth 20020.00 USD, limit is 20000 USD" == check(stop_order("2002.00"), books())


def test_a_limit_far_below_the_market_makes_no_order_cheap():
    order = limit_order("0.01", Side.SELL, "9.00")

    assert "is worth 1800000.00 USD, limit is 20000 USD" == limited().check_order(order, books())


@pytest.mark.parametrize("price", [None, nan, inf])
def test_without_a_price_it_objects(price):
    objection = limited().check_order(limit_order("2000.00"), books(price=price))

    assert objection is not None
    assert objection.startswith("the worth of XAUUSD is not known: its last price is")


def in_euro(*prices: tuple[str, float]) -> tuple[Order, Portfolio]:
    """An order for a tenth of a lot of gold that is quoted in euro, for an account in dollars."""
    gold = Instrument(symbol="XAUEUR", tick_size=Decimal("0.01"), lot_size=Decimal(100), currency="EUR")
    pair = Instrument(symbol="EURUSD", tick_size=Decimal("0.00001"), lot_size=Decimal(100_000))
    portfolio = Portfolio(ACCOUNT, {"XAUEUR": gold, "EURUSD": pair})
    for symbol, price in prices:
        portfolio.apply(bar(price, symbol=symbol))
    return replace(market_order(), symbol="XAUEUR"), portfolio


def test_another_currency_is_converted():
    objection = limited().check_order(*in_euro(("XAUEUR", 2000.0), ("EURUSD", 1.1)))

    assert "is worth 22000.00 USD, limit is 20000 USD" == objection


def test_without_a_rate_it_objects():
    objection = limited().check_order(*in_euro(("XAUEUR", 2000.0)))

    assert objection is not None
    assert objection.startswith("the worth of XAUEUR is not known: no rate from EUR to USD")


def test_an_order_that_can_only_reduce_passes():
    assert limited().check_order(reducing(market_order(Side.SELL, "9.00")), books(price=None)) is None


def test_two_with_equal_limits_both_object():
    replies = replies_of_two(limited, "check_order", market_order(quantity="2.00"), books())

    assert ["one", "other"] == [reply.plugin for reply in replies]


@pytest.mark.parametrize("limit", ["0", "-1", "NaN"])
def test_a_limit_that_makes_no_sense_is_refused(limit):
    with pytest.raises(ValueError, match=f"limit must be account currency, above 0: it is {limit}"):
        limited(limit)


def test_it_keeps_the_contract_of_a_risk_check():
    check_conformance(limited)
