"""Each figure of returns by hand, against another formula, and under what must not change it."""

from __future__ import annotations

import math
import random
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nicegold_ops.report.returns import (
    annual_return,
    annual_volatility,
    calmar,
    conditional_value_at_risk,
    daily_returns,
    days_a_year_of,
    kurtosis,
    monthly_returns,
    omega,
    sharpe,
    skew,
    sortino,
    tail_ratio,
    total_return,
    value_at_risk,
    years_of,
)

returns_of_days = st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60)
JANUARY_30_2024 = 19752
#: A Monday.
SEPTEMBER_4_2023 = 19604


def near(expected: float) -> object:
    """Another order or another formula may change no more than the rounding."""
    return pytest.approx(expected, rel=1e-9, abs=1e-9)


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


def test_monthly_returns_are_between_the_last_closes_of_months():
    closes = {JANUARY_30_2024: 90.0, JANUARY_30_2024 + 1: 110.0, JANUARY_30_2024 + 2: 104.0, 19782: 99.0}

    monthly = monthly_returns(100.0, closes)

    assert {"2024-01": 110 / 100 - 1, "2024-02": 99 / 110 - 1} == monthly


def test_a_month_after_ruin_has_no_return():
    assert {"2024-01": -1.0, "2024-02": None} == monthly_returns(100.0, {19752: 0.0, 19754: 50.0})


def test_no_close_is_no_month():
    assert {} == monthly_returns(100.0, {})


def test_annual_return_is_the_growth_that_compounds_to_the_whole():
    assert annual_return(100.0, 121.0, 2.0) == pytest.approx(0.1, rel=1e-14)
    assert annual_return(100.0, 25.0, 2.0) == pytest.approx(-0.5, rel=1e-14)


def test_who_lost_everything_lost_it_in_a_year_too():
    assert -1.0 == annual_return(100.0, 0.0, 3.0)
    assert -1.0 == annual_return(100.0, -20.0, 3.0)


def test_less_than_thirty_days_are_not_annualized():
    assert annual_return(100.0, 101.0, 29 / 365.25) is None
    assert annual_return(100.0, 101.0, 30 / 365.25) is not None


def test_no_annual_return_on_nothing_and_none_beyond_all_numbers():
    assert annual_return(0.0, 101.0, 1.0) is None
    assert annual_return(1e-300, 1e300, 0.1) is None
    assert -1.0 == annual_return(1e300, 1e-300, 0.1)


def test_a_run_lasts_from_the_day_before_its_first_close_to_its_last():
    assert 4.0 == years_of([1, 500, 1461])
    assert 1 / 365.25 == years_of([19604])
    assert 0.0 == years_of([])


def test_who_trades_on_saturdays_has_365_days_a_year():
    weeks = [SEPTEMBER_4_2023 + day for day in range(70)]

    assert 365 == days_a_year_of(weeks)
    assert 252 == days_a_year_of(day for day in weeks if day % 7 != weeks[5] % 7)
    assert 252 == days_a_year_of(weeks[:5] * 10)
    assert 252 == days_a_year_of([])


def test_a_saturday_now_and_then_makes_no_week_of_seven_days():
    weeks = [SEPTEMBER_4_2023 + 7 * week + day for week in range(10) for day in range(5)]

    assert 252 == days_a_year_of([*weeks, SEPTEMBER_4_2023 + 5])


def test_volatility_by_hand():
    # Sample variance (0.01² + 0.01²) / 1.
    assert annual_volatility([0.02, 0.0]) == pytest.approx(0.01 * math.sqrt(2 * 252), rel=1e-14)
    assert 0.0 == annual_volatility([0.01] * 9)
    assert annual_volatility([0.01]) is None


def test_calmar_by_hand():
    assert 2.5 == calmar(0.25, 0.1)
    assert calmar(0.25, 0.0) is None
    assert calmar(None, 0.1) is None


def test_omega_is_gains_over_losses():
    assert omega([0.03, -0.02, 0.0, -0.01]) == pytest.approx(1.0, rel=1e-14)
    assert omega([0.03, 0.0]) is None
    assert omega([]) is None


def test_tail_ratio_by_hand():
    # Of 21 days the 95th percentile is the second best and the 5th the second worst.
    days = [0.001] * 17

    assert tail_ratio([*days, 0.09, 0.03, -0.02, -0.08]) == pytest.approx(1.5, rel=1e-9)
    assert tail_ratio([0.0] * 9) is None
    assert tail_ratio([]) is None


def test_skew_and_kurtosis_by_hand():
    # Mean 1, variance (9 + 1 + 1 + 1) / 4 = 3, third moment (27 - 3) / 4 = 6, fourth (81 + 3) / 4 = 21.
    returns = [4.0, 0.0, 0.0, 0.0]

    assert skew(returns) == pytest.approx(6 / 3**1.5, rel=1e-14)
    assert kurtosis(returns) == pytest.approx(21 / 9, rel=1e-14)


@pytest.mark.parametrize("returns", [[], [0.01], [0.0] * 5, [0.01] * 9])
def test_moments_need_returns_that_differ(returns):
    assert skew(returns) is None
    assert kurtosis(returns) is None


def test_value_at_risk_is_the_loss_of_a_day_in_twenty_and_its_conditional_the_mean_of_such_days():
    days = [0.001] * 19

    assert value_at_risk([*days, -0.08, -0.02]) == pytest.approx(0.02, rel=1e-12)
    assert conditional_value_at_risk([*days, -0.08, -0.02]) == pytest.approx(0.05, rel=1e-12)


def test_a_worst_day_that_gained_is_a_negative_loss():
    assert -0.01 == value_at_risk([0.01])
    assert -0.01 == conditional_value_at_risk([0.01])
    assert value_at_risk([]) is None
    assert conditional_value_at_risk([]) is None


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


@given(returns=returns_of_days)
def test_moments_are_those_of_exact_fractions(returns):
    assume(np.std(returns) > 1e-6)
    exact = [Fraction(each) for each in returns]
    second, third, fourth = (
        sum((each - sum(exact) / len(exact)) ** power for each in exact) / len(exact) for power in (2, 3, 4)
    )

    assert skew(returns) == near(float(third) / float(second) ** 1.5)
    assert kurtosis(returns) == near(float(fourth / second**2))


@given(returns=returns_of_days)
def test_the_days_beyond_the_value_at_risk_lose_at_least_as_much_on_average(returns):
    risk, beyond = value_at_risk(returns), conditional_value_at_risk(returns)

    assert risk is not None
    assert beyond is not None
    assert risk <= beyond + 1e-15
    assert beyond <= -min(returns) + 1e-15


# Under what must not change it.


@given(returns=returns_of_days, seed=st.integers(0, 2**32))
def test_the_order_of_days_changes_nothing(returns, seed):
    shuffled = random.Random(seed).sample(returns, len(returns))

    assert value_at_risk(shuffled) == value_at_risk(returns)
    assert conditional_value_at_risk(shuffled) == near(conditional_value_at_risk(returns) or 0.0)
    assert tail_ratio(shuffled) == tail_ratio(returns)
    assert sharpe(shuffled) == sharpe(returns)
    assert sortino(shuffled) == sortino(returns)
    assert omega(shuffled) == omega(returns)


@given(returns=returns_of_days, leverage=st.floats(0.1, 10.0))
def test_leverage_scales_risks_and_leaves_ratios(returns, leverage):
    assume(np.std(returns) > 1e-6)
    assume(min(returns) < -1e-6)
    levered = [each * leverage for each in returns]

    for scaled in (annual_volatility, value_at_risk, conditional_value_at_risk):
        before = scaled(returns)
        assert before is not None
        assert scaled(levered) == near(leverage * before)
    for ratio in (sharpe, sortino, omega, skew, kurtosis):
        assert ratio(levered) == pytest.approx(ratio(returns), rel=1e-7, abs=1e-9)


@given(returns=returns_of_days)
def test_gains_and_losses_that_change_places_turn_the_figures_round(returns):
    assume(np.std(returns) > 1e-6)
    mirrored = [-each for each in returns]
    ratio, third = sharpe(returns), skew(returns)

    assert ratio is not None
    assert third is not None
    assert sharpe(mirrored) == near(-ratio)
    assert skew(mirrored) == near(-third)
    assert kurtosis(mirrored) == near(kurtosis(returns) or 0.0)
