"""Each figure by hand, against another formula, and as published by others."""

from __future__ import annotations

import csv
import gzip
import json
import math
import statistics
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nicegold_ops.curve import Curve
from nicegold_ops.report.statistics import (
    daily_returns,
    monthly_returns,
    profit_factor,
    sharpe,
    sortino,
    total_return,
)
from tests.shared import shared

returns_of_days = st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60)
JANUARY_30_2024 = 19752


def published() -> dict[str, Any]:
    """Values that empyrical-reloaded asserts in its own tests."""
    golden: dict[str, Any] = json.loads(shared("data/golden/performance_empyrical_a.json").read_text())
    return golden


def cases_of(golden: dict[str, Any], figure: str, **terms: str | int) -> list[tuple[list[float], float]]:
    """Returns and what they should come to, where it has a meaning and the terms are ours."""
    return [
        ([each for each in golden["series"][case["returns"]] if each is not None], case["expected"])
        for case in golden["cases"][figure]
        if case.items() >= terms.items() and isinstance(case["expected"], float)
    ]


# By hand.


def test_total_return_is_the_end_over_the_start_less_one():
    assert 0.25 == total_return(100.0, 125.0)
    assert -1.0 == total_return(100.0, 0.0)


def test_there_is_no_return_on_nothing():
    assert total_return(0.0, 10.0) is None
    assert total_return(-5.0, 10.0) is None


def test_daily_returns_are_each_day_on_the_day_before():
    assert [0.5, -0.5] == daily_returns([100.0, 150.0, 75.0])
    assert [] == daily_returns([100.0])
    assert [] == daily_returns([])


def test_a_day_after_ruin_has_no_return():
    assert [-1.0] == daily_returns([100.0, 0.0, 50.0])


def test_sharpe_by_hand():
    # Mean 0.01, sample variance (0.01² + 0.01²) / 1, so 1/√2 a day.
    assert sharpe([0.02, 0.0]) == pytest.approx(math.sqrt(252 / 2), rel=1e-14)


def test_sortino_by_hand():
    # Mean 0.01, downside deviation √(0.01² / 2), so √2 a day.
    assert sortino([0.03, -0.01]) == pytest.approx(math.sqrt(252 * 2), rel=1e-14)


@pytest.mark.parametrize("returns", [[], [0.01]])
def test_sharpe_needs_two_days(returns):
    assert sharpe(returns) is None


@pytest.mark.parametrize(
    "returns", [[0.0] * 5, [0.01] * 9, [-0.01] * 9, daily_returns([1.01**day for day in range(99)])]
)
def test_sharpe_needs_returns_that_differ_by_more_than_rounding(returns):
    assert sharpe(returns) is None


@pytest.mark.parametrize("returns", [[], [0.01], [0.0, 0.02]])
def test_sortino_needs_a_day_that_lost(returns):
    assert sortino(returns) is None


def test_profit_factor_is_gains_over_losses():
    assert 1.5 == profit_factor([Decimal(20), Decimal(-30), Decimal(25), Decimal(0)])
    assert 0.0 == profit_factor([Decimal(-1)])


@pytest.mark.parametrize("profits", [[], [Decimal(5)], [Decimal(0)]])
def test_profit_factor_needs_a_loss(profits):
    assert profit_factor(profits) is None


def test_monthly_returns_are_between_the_last_closes_of_months():
    closes = {JANUARY_30_2024: 90.0, JANUARY_30_2024 + 1: 110.0, JANUARY_30_2024 + 2: 104.0, 19782: 99.0}

    monthly = monthly_returns(100.0, closes)

    assert {"2024-01": 110 / 100 - 1, "2024-02": 99 / 110 - 1} == monthly


def test_a_month_after_ruin_has_no_return():
    assert {"2024-01": -1.0, "2024-02": None} == monthly_returns(100.0, {19752: 0.0, 19754: 50.0})


def test_no_close_is_no_month():
    assert {} == monthly_returns(100.0, {})


# Against another formula.


@given(returns=returns_of_days)
def test_sharpe_is_what_numpy_makes_of_it(returns):
    deviation = np.std(returns, ddof=1)
    assume(deviation > 1e-6)

    assert sharpe(returns) == pytest.approx(np.mean(returns) / deviation * np.sqrt(252), rel=1e-9, abs=1e-9)


@given(returns=returns_of_days)
def test_sharpe_is_what_the_standard_library_makes_of_it(returns):
    deviation = statistics.stdev(returns)
    assume(deviation > 1e-6)

    expected = statistics.fmean(returns) / deviation * math.sqrt(252)
    assert sharpe(returns) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(returns=returns_of_days)
def test_sortino_is_what_numpy_makes_of_it(returns):
    downside = np.linalg.norm(np.minimum(returns, 0.0)) / np.sqrt(len(returns))
    assume(downside > 1e-6)

    assert sortino(returns) == pytest.approx(np.mean(returns) / downside * np.sqrt(252), rel=1e-9, abs=1e-9)


@given(closes=st.lists(st.floats(1.0, 1e6), min_size=1, max_size=300), first=st.integers(0, 40_000))
def test_months_compound_to_the_whole(closes, first):
    by_day = dict(enumerate(closes, first))

    monthly = monthly_returns(100.0, by_day)

    compounded = math.prod(1.0 + each for each in monthly.values() if each is not None) - 1.0
    assert compounded == pytest.approx(total_return(100.0, closes[-1]), rel=1e-9, abs=1e-9)


# As published.


def test_sharpe_is_as_published():
    cases = cases_of(published(), "sharpe_ratio", risk_free="0.0")

    for returns, expected in cases:
        assert sharpe(returns) == pytest.approx(expected, rel=1e-8)
    assert 3 == len(cases)


def test_sortino_is_as_published():
    cases = cases_of(published(), "sortino", required_return="0.0", period="daily")

    for returns, expected in cases:
        assert sortino(returns) == pytest.approx(expected, rel=1e-8)
    assert 2 == len(cases)


def test_max_drawdown_is_as_published():
    cases = cases_of(published(), "max_drawdown")

    for returns, expected in cases:
        assert drawdown_of(returns) == pytest.approx(-expected, abs=1e-7)
    assert 7 == len(cases)


def test_total_return_is_as_published():
    cases = cases_of(published(), "cum_returns_final", starting_value=0)

    for returns, expected in cases:
        end = math.prod(1.0 + each for each in returns)
        # Printed to four or five places.
        assert total_return(1.0, end) == pytest.approx(expected, abs=1e-5)
    assert 3 == len(cases)


def test_holding_gold_for_years_comes_to_what_empyrical_makes_of_it():
    expected = json.loads(shared("data/golden/gold_d1_talib_and_performance.json").read_text())
    expected = expected["performance_of_buy_and_hold_close_to_close_returns"]
    with gzip.open(shared("data/ejtrader_mt5/XAUUSDd1.older.csv.gz"), "rt") as lines:
        closes = [float(row["close"]) for row in csv.DictReader(lines)]

    returns = daily_returns(closes)

    assert expected["n"] == len(returns)
    assert total_return(closes[0], closes[-1]) == pytest.approx(expected["total_return"], rel=1e-9)
    assert sharpe(returns) == pytest.approx(expected["sharpe"], rel=1e-9)
    assert sortino(returns) == pytest.approx(expected["sortino"], rel=1e-9)
    assert drawdown_of(returns) == pytest.approx(-expected["max_drawdown"], rel=1e-9)


def drawdown_of(returns: list[float]) -> float:
    """What a curve says of one unit that has these *returns*, a day each."""
    curve = Curve(1.0, lambda time: time)
    for day, equity in enumerate(np.cumprod(np.array(returns) + 1.0).tolist()):
        curve.sample(day, equity, is_exposed=True)
    curve.settle()
    return curve.max_drawdown
