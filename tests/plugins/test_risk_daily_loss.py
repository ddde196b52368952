from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nicegold import DAY, SECOND, Halted, Instrument, Portfolio, Sessions
from nicegold.testing import ACCOUNT, GOLD, START, bar, engine_with
from nicegold_plugins.risk.daily_loss import DailyLoss
from tests.plugins.books import books, fill, replies_of_two

HOUR = 3600 * SECOND
#: Trades from Sunday evening to Friday afternoon in New York: its day changes at 22:00 UTC in January.
IN_NEW_YORK = replace(GOLD, sessions=Sessions.parse("gold"))


def limited(limit: str = "1000", instrument: Instrument = GOLD) -> DailyLoss:
    check = DailyLoss(limit=Decimal(limit))
    check.startup({"XAUUSD": instrument})
    return check


def asked(check: DailyLoss, marks: list[tuple[int, float]]) -> list[str | None]:
    """What *check* says as equity comes to 100,000 and so much at each time after `START`."""
    portfolio, said = Portfolio(ACCOUNT, {"XAUUSD": GOLD}), []
    portfolio.apply(fill("1.00"))
    for time, profit in marks:
        portfolio.apply(bar(2000.0 + profit / 100, length=time))
        said.append(check.check_portfolio(portfolio))
    return said


def test_it_asks_once_the_day_has_cost_the_limit():
    said = asked(limited(), [(0, 500.0), (HOUR, -499.0), (2 * HOUR, -500.0)])

    assert [None, None, "lost 1000.00 USD today, limit is 1000 USD"] == said


def test_the_next_day_counts_from_where_the_one_before_ended():
    said = asked(limited(), [(0, 0.0), (HOUR, -900.0), (DAY, -1800.0), (DAY + HOUR, -1900.0)])

    assert [False, False, False, True] == [each is not None for each in said]


def test_a_gap_over_the_night_counts():
    said = asked(limited(), [(0, 0.0), (DAY, -1000.0)])

    assert "lost 1000.00 USD today, limit is 1000 USD" == said[-1]


def test_the_day_is_that_of_the_instrument_and_changes_at_its_close():
    marks = [(0, 0.0), (21 * HOUR, -900.0), (22 * HOUR, -1000.0)]

    assert asked(limited(instrument=GOLD), marks)[-1] is not None
    assert asked(limited(instrument=IN_NEW_YORK), marks)[-1] is None


MARKS = st.lists(
    st.tuples(
        st.sampled_from([1, 60, HOUR // SECOND, 7 * HOUR // SECOND, 3 * DAY // SECOND]), st.integers(-9, 9)
    ),
    min_size=1,
    max_size=40,
)


@given(marks=MARKS)
def test_it_asks_exactly_when_equity_is_the_limit_below_the_end_of_the_day_before(marks):
    times = [total * SECOND for total in accumulate(gap for gap, _ in marks)]
    profits = [100.0 * total for total in accumulate(change for _, change in marks)]

    said = asked(limited(instrument=IN_NEW_YORK), list(zip(times, profits, strict=True)))

    days = [IN_NEW_YORK.sessions.trading_day(START + time) for time in times]
    first = [days.index(day) for day in days]
    began = [profits[max(n - 1, 0)] for n in first]
    expected = [start - profit >= 1000.0 for start, profit in zip(began, profits, strict=True)]
    assert expected == [each is not None for each in said]


def test_the_engine_halts_for_it():
    engine, seen = engine_with(loss=DailyLoss(limit=Decimal(1000)))
    engine.handle(bar(2000.0))
    engine.handle(fill("1.00"))

    engine.handle(bar(1990.0, number=1))

    assert ["loss"] == [halted.plugin for halted in seen.of(Halted)]
    assert "lost 1000.00 USD today, limit is 1000 USD" == engine.portfolio.halted


def test_equity_that_is_not_a_number_asks():
    check = limited()

    assert check.check_portfolio(books(held="1.00", price=nan)) is not None


def test_two_with_equal_limits_both_ask():
    portfolio = books(held="1.00", price=2000.0)
    checks = [limited(), limited()]
    for check in checks:
        check.check_portfolio(portfolio)
    portfolio.apply(bar(1900.0))

    replies = replies_of_two(iter(checks).__next__, "check_portfolio", portfolio)

    assert ["one", "other"] == [reply.plugin for reply in replies]


@pytest.mark.parametrize("limit", ["0", "-1", "NaN"])
def test_a_limit_that_makes_no_sense_is_refused(limit):
    with pytest.raises(ValueError, match=f"limit must be account currency, above 0: it is {limit}"):
        limited(limit)


def test_an_instrument_that_is_not_there_is_refused():
    check = DailyLoss(limit=Decimal(1), instrument="GOLD")

    with pytest.raises(ValueError, match="instrument is GOLD, which is not configured; there are XAUUSD"):
        check.startup({"XAUUSD": GOLD})
