"""A run's figures together: what they are of, what they leave out, and that each is a number or None."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nicegold import SECOND, Fill, Instrument, Side
from nicegold_ops.report.statistics import Statistics, statistics_of, traded_value, turnover
from nicegold_ops.report.trades import Trade

#: A Monday.
MONDAY = 19604
GOLD = Instrument(
    symbol="XAUUSD", tick_size=Decimal("0.01"), lot_size=Decimal(100), quantity_step=Decimal("0.01")
)
#: What money is in, and so scales with it.
IN_MONEY = {"expectancy", "best_trade", "worst_trade", "median_trade", "average_win", "average_loss"}

#: From what rounding leaves of nothing to what nobody has.
money = st.floats(1e-9, 1e12)
equity = st.lists(money | money.map(lambda each: -each) | st.just(0.0), max_size=60)
cents = st.integers(-10_000_000, 10_000_000).map(lambda each: Decimal(each) / 100)


def trade(profit: Decimal | int, costs: Decimal | int = 0) -> Trade:
    """An hour in gold."""
    return Trade(
        strategy="cross",
        symbol="XAUUSD",
        side=Side.BUY,
        quantity=Decimal("0.10"),
        entry_time=0,
        entry_price=Decimal(2000),
        exit_time=3600 * SECOND,
        exit_price=Decimal(2000) + Decimal(profit) / 10,
        profit=Decimal(profit),
        costs=Decimal(costs),
    )


def statistics(closes: list[float], trades: list[Trade] | None = None, **terms: Any) -> Statistics:
    """Of a run that began with 100 and closed on days one after the other."""
    by_day = dict(enumerate(closes, MONDAY))
    given = {"start": 100.0, "max_drawdown": 0.0, "exposure": 0.5, "traded": 0.0, **terms}
    return statistics_of(closes=by_day, trades=trades or [], **given)


def fill(side: Side, price: int, rate: str = "1") -> Fill:
    return Fill(
        order_id="o",
        trade_id="t",
        time=0,
        symbol="XAUUSD",
        side=side,
        quantity=Decimal("0.10"),
        price=Decimal(price),
        rate=Decimal(rate),
    )


def test_the_first_day_counts_from_the_start():
    found = statistics([110.0, 99.0])

    assert 2 == found.days
    assert 2 / 365.25 == found.years
    assert found.total_return == pytest.approx(-0.01, rel=1e-12)
    assert found.best_day == pytest.approx(0.1, rel=1e-12)
    assert found.worst_day == pytest.approx(-0.1, rel=1e-12)
    assert 1 == found.longest_drawdown
    assert found.average_drawdown == pytest.approx(0.1, rel=1e-12)


def test_the_deepest_drawdown_is_the_one_of_every_sample():
    found = statistics([100.0 + day % 3 for day in range(40)], max_drawdown=0.25)

    assert 0.25 == found.max_drawdown
    assert found.calmar == pytest.approx((found.annual_return or 0.0) / 0.25, rel=1e-12)
    assert (found.average_drawdown or 1.0) < 0.02


def test_trades_count_after_their_costs():
    found = statistics([100.0], [trade(20, costs=2), trade(-10, costs=2), trade(1, costs=1)])

    assert 3 == found.trades
    assert found.win_rate == pytest.approx(1 / 3, rel=1e-12)
    assert 18.0 / 12.0 == found.profit_factor
    assert 2.0 == found.expectancy
    assert (18.0, -12.0, 0.0) == (found.best_trade, found.worst_trade, found.median_trade)
    assert found.average_trade_return == pytest.approx((2.0 - 1.0 + 0.1) / 2000 / 3, rel=1e-12)
    assert 3600.0 == found.average_holding


def test_a_week_of_seven_days_is_annualized_by_365():
    closes = [100.0, 101.0, 100.5, 102.0, 101.0, 103.0, 104.0] * 3

    weekdays = statistics_of(
        100.0,
        {MONDAY + 7 * week + day: closes[5 * week + day] for week in range(4) for day in range(5)},
        [],
        max_drawdown=0.0,
        exposure=0.0,
        traded=0.0,
    )
    always = statistics(closes[:20])

    assert (252, 365) == (weekdays.days_a_year, always.days_a_year)
    assert (always.sharpe or 0.0) / (weekdays.sharpe or 1.0) == pytest.approx(math.sqrt(365 / 252), rel=1e-12)


def test_a_run_without_a_day_has_no_figure_that_needs_one():
    found = statistics([])

    known = {name for name, value in msgspec.structs.asdict(found).items() if value}
    assert {"days_a_year", "exposure"} == known
    assert 0.0 == found.total_return


def test_a_run_of_a_day_has_a_return_and_no_ratio():
    found = statistics([101.0])

    assert found.total_return == pytest.approx(0.01, rel=1e-12)
    assert found.best_day == found.worst_day == found.total_return
    assert (None, None, None, None) == (
        found.sharpe,
        found.annual_volatility,
        found.skew,
        found.annual_return,
    )


def test_after_ruin_days_have_no_returns():
    found = statistics([50.0, -10.0, -20.0, 30.0])

    assert found.worst_day == pytest.approx(-1.2, rel=1e-12)
    assert found.best_day == -0.5
    assert 1.2 == found.average_drawdown


def test_what_was_traded_is_in_the_account_currency_and_both_ways():
    fills = [fill(Side.BUY, 2000), fill(Side.SELL, 2100, rate="1.5")]

    # A tenth of a lot is ten ounces.
    assert 20_000 + 31_500 == traded_value(fills, {"XAUUSD": GOLD})


def test_turnover_is_how_often_a_year_the_mean_equity_was_traded():
    assert 10.0 == turnover(4_000.0, [100.0, 300.0], 2.0)
    assert turnover(4_000.0, [-100.0, 50.0], 2.0) is None
    assert turnover(4_000.0, [], 0.0) is None


@given(closes=equity, profits=st.lists(cents, max_size=30), start=st.sampled_from([100.0, 1e-3, 0.0, -5.0]))
def test_each_figure_is_a_finite_number_or_none(closes, profits, start):
    found = statistics(closes, [trade(each) for each in profits], start=start, traded=1e9)

    for name, value in msgspec.structs.asdict(found).items():
        assert value is None or math.isfinite(value), name


@given(
    closes=st.lists(st.floats(1.0, 1000.0), max_size=60),
    profits=st.lists(cents, max_size=30),
    scale=st.sampled_from([4, 1024]),
)
def test_in_another_currency_only_money_changes(closes, profits, scale):
    trades = [trade(each) for each in profits]
    scaled = [replace(each, profit=each.profit * scale) for each in trades]

    found = msgspec.structs.asdict(statistics(closes, trades, traded=500.0))
    other = statistics([each * scale for each in closes], scaled, start=100.0 * scale, traded=500.0 * scale)

    for name, value in msgspec.structs.asdict(other).items():
        expected = found[name] * scale if name in IN_MONEY and found[name] is not None else found[name]
        assert value == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-12)), name
