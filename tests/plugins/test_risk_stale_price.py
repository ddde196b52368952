from __future__ import annotations

from math import nan

import pytest

from nicegold import SECOND, Side
from nicegold.testing import check_conformance, market_order
from nicegold_plugins.risk.stale_price import StalePrice
from tests.plugins.books import books, reducing, replies_of_two


def limited(seconds: int = 30) -> StalePrice:
    return StalePrice(seconds=seconds)


def test_a_price_up_to_the_limit_old_passes_and_an_older_one_is_objected_to():
    check, portfolio = limited().check_order, books()

    portfolio.time += 30 * SECOND
    at_the_limit = check(market_order(), portfolio)
    portfolio.time += SECOND // 2
    beyond = check(market_order(), portfolio)

    assert at_the_limit is None
    assert "the price of XAUUSD is 30.5 s old, limit is 30 s" == beyond


@pytest.mark.parametrize("price", [None, nan])
def test_without_a_price_it_objects(price):
    assert "there is no price of XAUUSD yet" == limited().check_order(market_order(), books(price=price))


def test_an_order_that_can_only_reduce_passes():
    closing = reducing(market_order(Side.SELL))

    assert limited().check_order(closing, books(price=None)) is None


def test_two_with_equal_limits_both_object():
    replies = replies_of_two(limited, "check_order", market_order(), books(price=None))

    assert ["one", "other"] == [reply.plugin for reply in replies]


def test_a_limit_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="seconds must be above 0: it is 0"):
        limited(0)


def test_it_keeps_the_contract_of_a_risk_check():
    check_conformance(limited)
