from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import SECOND, Order, Side
from nicegold.testing import check_conformance, market_order, quote
from nicegold_plugins.risk.message_rate import MessageRate
from tests.plugins.books import books, replies_of_two, stop_order


def objections(check: MessageRate, seconds: list[int], order: Order | None = None) -> list[str | None]:
    """What *check* says to an order at each of *seconds*."""
    portfolio, said = books(price=None), []
    for second in seconds:
        portfolio.apply(quote(2000.0, 2000.2, number=second))
        said.append(check.check_order(order or market_order(), portfolio))
    return said


@given(gaps=st.lists(st.integers(0, 3), max_size=40), orders=st.integers(1, 5), seconds=st.integers(1, 6))
def test_it_objects_exactly_when_so_many_were_asked_for_in_the_seconds_before(gaps, orders, seconds):
    times = list(accumulate(gaps))

    said = objections(MessageRate(orders=orders, seconds=seconds), times)

    recent = [sum(now - before < seconds for before in times[:n]) for n, now in enumerate(times)]
    assert [count >= orders for count in recent] == [each is not None for each in said]


def test_it_says_how_many_and_the_limit():
    said = objections(MessageRate(orders=2, seconds=10), [1, 1, 1])

    assert [None, None, "more than 2 orders in 10 s, limit is 2 orders"] == said


def test_who_does_not_stop_asking_stays_stopped_until_quiet():
    said = objections(MessageRate(orders=2, seconds=10), [1, 2, 3, 4, 12, 13, 30])

    assert [False, False, True, True, True, True, False] == [each is not None for each in said]


def test_an_order_that_can_only_reduce_counts_and_is_objected_to():
    closing = market_order(Side.SELL, reduce_only=True)

    said = objections(MessageRate(orders=1, seconds=10), [1, 1], closing)

    assert [False, True] == [each is not None for each in said]


def test_the_exits_of_a_new_bracket_count_but_pass():
    check, portfolio = MessageRate(orders=1, seconds=10), books()
    stop = stop_order("1990.00", Side.SELL, reduce_only=True, parent="test-1", id="test-2")

    entry, exit, next_entry = (
        check.check_order(order, portfolio) for order in (market_order(), stop, market_order())
    )

    assert entry is None
    assert exit is None
    assert next_entry is not None


def test_a_replaced_exit_is_objected_to_since_the_one_before_still_works():
    check, portfolio = MessageRate(orders=1, seconds=10), books()
    stop = stop_order("1990.00", Side.SELL, reduce_only=True, parent="test-1", id="test-2")
    portfolio.apply(stop)

    said = [check.check_order(stop, portfolio) for _ in range(2)]

    assert [False, True] == [each is not None for each in said]


def test_two_with_equal_limits_both_count_and_object():
    portfolio, order = books(), market_order()
    one, other = MessageRate(orders=1), MessageRate(orders=1)
    makes = iter([one, other])
    one.check_order(order, portfolio)
    other.check_order(order, portfolio)

    replies = replies_of_two(lambda: next(makes), "check_order", order, portfolio)

    assert ["one", "other"] == [reply.plugin for reply in replies]


def test_a_second_is_over_when_it_is():
    check, portfolio = MessageRate(orders=1, seconds=1), books(price=None)
    portfolio.apply(quote(2000.0, 2000.2))
    check.check_order(market_order(), portfolio)

    portfolio.time += SECOND - 1
    early = check.check_order(market_order(), portfolio)
    portfolio.time += SECOND
    later = check.check_order(market_order(), portfolio)

    assert early is not None
    assert later is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"orders": 0}, "orders must be above 0: it is 0"),
        ({"orders": 1, "seconds": -1}, "seconds must be above 0: it is -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MessageRate(**settings)


def test_it_keeps_the_contract_of_a_risk_check():
    check_conformance(lambda: MessageRate(orders=1))
