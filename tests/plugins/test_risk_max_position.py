from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import Canceled, Order, Side
from nicegold.host import Host
from nicegold.testing import START, check_conformance, market_order, unwatched
from nicegold_plugins.risk.max_position import MaxPosition
from tests.plugins.books import books, fill, reducing, replies_of_two


def limited(limit: str = "1.00") -> MaxPosition:
    return MaxPosition(limit=Decimal(limit))


def test_an_order_up_to_the_limit_passes_and_one_beyond_is_objected_to():
    check, portfolio = limited().check_order, books(held="0.60")

    assert check(market_order(quantity="0.40"), portfolio) is None
    objection = check(market_order(quantity="0.41"), portfolio)
    assert "would hold 1.01 lots of XAUUSD, limit is 1.00 lots" == objection


def test_shorts_are_limited_as_longs_are():
    objection = limited().check_order(market_order(Side.SELL, "0.50"), books(held="-0.60"))

    assert "would hold -1.10 lots of XAUUSD, limit is 1.00 lots" == objection


def test_working_orders_count_so_that_two_strategies_cannot_pass_one_limit_together():
    portfolio = books()
    portfolio.apply(market_order(quantity="0.60", id="first-1", strategy="first"))

    objection = limited().check_order(market_order(quantity="0.60", id="second-1"), portfolio)

    assert "would hold 1.20 lots of XAUUSD, limit is 1.00 lots" == objection


def test_a_replaced_order_counts_once():
    portfolio = books()
    portfolio.apply(market_order(quantity="0.60"))

    assert limited().check_order(market_order(quantity="0.90"), portfolio) is None


def test_an_order_that_brings_us_nearer_to_flat_passes_above_the_limit_and_one_that_turns_us_does_not():
    check, portfolio = limited().check_order, books(held="5.00")

    assert check(market_order(Side.SELL, "1.00"), portfolio) is None
    assert check(market_order(Side.SELL, "5.00"), portfolio) is None
    assert check(market_order(Side.SELL, "6.01"), portfolio) is not None
    assert check(market_order(Side.BUY, "0.01"), portfolio) is not None


def test_an_order_that_can_only_reduce_passes():
    order = reducing(market_order(Side.SELL, "9.00"))

    assert limited().check_order(order, books(held="5.00")) is None


def test_another_instrument_than_the_one_named_is_not_limited():
    check = MaxPosition(limit=Decimal("0.01"), instrument="EURUSD").check_order

    assert check(market_order(quantity="5.00"), books()) is None


def test_an_exposure_that_is_not_a_number_is_an_objection():
    class Broken:
        def exposure_after(self, order: Order) -> Decimal:
            return Decimal("NaN")

    check_order = Host(unwatched, {"limit": limited()}).call("check_order")

    assert 1 == len(check_order(market_order(), Broken()))


def test_two_with_equal_limits_both_object():
    replies = replies_of_two(limited, "check_order", market_order(quantity="2.00"), books())

    assert ["one", "other"] == [reply.plugin for reply in replies]


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["ask", "fill", "cancel"]), st.integers(-120, 120), st.integers(0, 9)),
    max_size=60,
)


@given(actions=ACTIONS)
def test_whatever_is_asked_filled_and_cancelled_the_position_never_passes_the_limit(actions):
    check, portfolio = limited().check_order, books()

    for number, (action, hundredths, which) in enumerate(actions):
        working = portfolio.working()
        if action == "ask" and hundredths:
            side = Side.BUY if hundredths > 0 else Side.SELL
            order = market_order(side, str(Decimal(abs(hundredths)) / 100), id=f"a-{number}")
            if check(order, portfolio) is None:
                portfolio.apply(order)
        elif action == "fill" and working:
            state = working[which % len(working)]
            part = state.remaining if hundredths > 0 else min(state.remaining, Decimal("0.07"))
            portfolio.apply(fill(part * state.order.side.sign, f"t-{number}", state.order.id))
        elif action == "cancel" and working:
            portfolio.apply(Canceled(order_id=working[which % len(working)].order.id, time=START))

        assert abs(portfolio.position("XAUUSD").quantity) <= Decimal("1.00")


@pytest.mark.parametrize("limit", ["-1", "NaN", "Infinity"])
def test_a_limit_that_makes_no_sense_is_refused(limit):
    with pytest.raises(ValueError, match=f"limit must be lots, 0 or more: it is {limit}"):
        limited(limit)


def test_it_keeps_the_contract_of_a_risk_check():
    check_conformance(limited)
