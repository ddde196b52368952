from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold.testing import ACCOUNT, bar
from nicegold_plugins.risk.max_drawdown import MaxDrawdown
from tests.plugins.books import books, replies_of_two


def limited(percent: str = "10") -> MaxDrawdown:
    check = MaxDrawdown(percent=Decimal(percent))
    check.startup(ACCOUNT)
    return check


def asked(check: MaxDrawdown, prices: list[float]) -> list[str | None]:
    """What *check* says as one lot bought at 2000 with 100,000 comes to each of *prices*."""
    portfolio, said = books(held="1.00"), []
    for price in prices:
        portfolio.apply(bar(price))
        said.append(check.check_portfolio(portfolio))
    return said


def test_it_asks_once_equity_is_the_percentage_below_its_peak():
    said = asked(limited(), [2200.0, 2081.0, 2080.0])

    reason = "equity 108000.00 USD is 10.00 % below its peak 120000.00, limit is 10 %"
    assert [None, None, reason] == said


def test_the_first_peak_is_what_the_account_starts_with():
    assert [False, True] == [each is not None for each in asked(limited(), [1901.0, 1900.0])]


@given(dollars=st.lists(st.integers(1500, 2500), max_size=40))
def test_it_asks_exactly_when_equity_is_the_percentage_below_the_highest_so_far(dollars):
    said = asked(limited("25"), [float(each) for each in dollars])

    equities = [100_000 + (each - 2000) * 100 for each in dollars]
    peaks = list(accumulate(equities, max, initial=100_000))[1:]
    expected = [4 * equity <= 3 * peak for equity, peak in zip(equities, peaks, strict=True)]
    assert expected == [each is not None for each in said]


def test_equity_that_is_not_a_number_asks():
    assert asked(limited(), [nan])[0] is not None


def test_two_with_equal_limits_both_ask():
    replies = replies_of_two(limited, "check_portfolio", books(held="1.00", price=1000.0))

    assert ["one", "other"] == [reply.plugin for reply in replies]


@pytest.mark.parametrize("percent", ["0", "-1", "101", "NaN"])
def test_a_percentage_that_makes_no_sense_is_refused(percent):
    with pytest.raises(ValueError, match=f"percent must be above 0 and at most 100: it is {percent}"):
        limited(percent)
