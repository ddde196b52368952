from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from nicegold import Side
from nicegold.host import Host
from nicegold.testing import check_conformance, market_order, unwatched
from nicegold_plugins.risk.max_order_quantity import MaxOrderQuantity
from tests.plugins.books import books, reducing, replies_of_two


def limited(limit: str = "1.00") -> MaxOrderQuantity:
    return MaxOrderQuantity(limit=Decimal(limit))


def test_an_order_up_to_the_limit_passes_and_one_beyond_is_objected_to():
    check = limited().check_order

    assert check(market_order(quantity="1.00")) is None
    assert "orders 1.01 lots of XAUUSD, limit is 1.00 lots" == check(market_order(Side.SELL, "1.01"))


def test_an_order_that_can_only_reduce_passes():
    assert limited().check_order(reducing(market_order(Side.SELL, "9.00"))) is None


def test_another_instrument_than_the_one_named_is_not_limited():
    check = MaxOrderQuantity(limit=Decimal("0.01"), instrument="EURUSD").check_order

    assert check(market_order(quantity="5.00")) is None


def test_a_quantity_that_is_not_a_number_is_an_objection():
    order = market_order()
    msgspec.structs.force_setattr(order, "quantity", Decimal("NaN"))

    assert 1 == len(Host(unwatched, {"limit": limited()}).call("check_order")(order, books()))


def test_two_with_equal_limits_both_object():
    replies = replies_of_two(limited, "check_order", market_order(quantity="2.00"), books())

    assert ["one", "other"] == [reply.plugin for reply in replies]


@pytest.mark.parametrize("limit", ["0", "-1", "NaN"])
def test_a_limit_that_makes_no_sense_is_refused(limit):
    with pytest.raises(ValueError, match=f"limit must be lots, above 0: it is {limit}"):
        limited(limit)


def test_it_keeps_the_contract_of_a_risk_check():
    check_conformance(limited)
