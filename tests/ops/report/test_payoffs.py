"""What trades paid: each figure by hand, and where it has no meaning."""

from __future__ import annotations

import math
import statistics
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from nicegold import SECOND, Side
from nicegold_ops.report import payoffs
from nicegold_ops.report.trades import Trade

#: Three won 20, 25 and 15, two lost 30 and 10, one came out even.
PAID = [Decimal(each) for each in (20, -30, 25, 0, -10, 15)]
amounts = st.lists(st.decimals(-1000, 1000, places=2), min_size=1, max_size=50)

TRADE = Trade(
    strategy="cross",
    symbol="XAUUSD",
    side=Side.BUY,
    quantity=Decimal("0.10"),
    entry_time=0,
    entry_price=Decimal(2000),
    exit_time=3600 * SECOND,
    exit_price=Decimal(2010),
    profit=Decimal(100),
    costs=Decimal("1.40"),
)


def test_a_payoff_is_the_profit_less_the_costs():
    assert [Decimal("98.60")] == payoffs.payoffs_of([TRADE])


def test_what_came_out_even_did_not_win():
    assert 0.5 == payoffs.win_rate(PAID)


def test_profit_factor_is_gains_over_losses():
    assert 1.5 == payoffs.profit_factor(PAID)
    assert 0.0 == payoffs.profit_factor([Decimal(-1)])


@pytest.mark.parametrize("paid", [[], [Decimal(5)], [Decimal(0)]])
def test_what_is_in_losses_needs_a_loss(paid):
    assert payoffs.profit_factor(paid) is None
    assert payoffs.payoff_ratio(paid) is None
    assert payoffs.expectancy_ratio(paid) is None
    assert payoffs.average_loss(paid) is None
    assert payoffs.kelly(paid) is None


@pytest.mark.parametrize("paid", [[], [Decimal(-5)], [Decimal(0)]])
def test_what_is_in_wins_needs_a_win(paid):
    assert payoffs.average_win(paid) is None
    assert payoffs.payoff_ratio(paid) is None
    assert payoffs.kelly(paid) is None


def test_expectancy_is_the_mean_in_money_and_in_average_losses():
    assert payoffs.expectancy(PAID) == pytest.approx(20 / 6, rel=1e-14)
    assert payoffs.expectancy_ratio(PAID) == pytest.approx(20 / 6 / 20, rel=1e-14)


def test_the_average_win_over_the_average_loss_is_the_payoff_ratio():
    assert 20.0 == payoffs.average_win(PAID)
    assert 20.0 == payoffs.average_loss(PAID)
    assert 1.0 == payoffs.payoff_ratio(PAID)


def test_the_median_is_between_the_middle_two():
    assert 7.5 == payoffs.median_payoff(PAID)


def test_kelly_by_hand():
    # Wins half of the time, as much as it loses: nothing to bet. Twice as much: 0.5 - 0.5 / 2.
    assert 0.0 == payoffs.kelly([1.0, -1.0])
    assert 0.25 == payoffs.kelly([2.0, -1.0])
    assert -0.5 == payoffs.kelly([1.0, -2.0])


def test_system_quality_is_what_the_standard_library_makes_of_it():
    expected = math.sqrt(6) * statistics.fmean(PAID) / statistics.stdev(float(each) for each in PAID)

    assert payoffs.system_quality(PAID) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("paid", [[], [Decimal(5)], [Decimal(5)] * 3])
def test_system_quality_needs_trades_that_differ(paid):
    assert payoffs.system_quality(paid) is None


def test_what_came_out_even_ends_a_losing_run():
    assert 2 == payoffs.longest_losing_run([-1.0, 0.0, -1.0, -1.0, 2.0, -1.0])
    assert 0 == payoffs.longest_losing_run([1.0])
    assert 0 == payoffs.longest_losing_run([])


def test_holding_is_from_entry_to_exit_in_seconds():
    longer = replace(TRADE, exit_time=7200 * SECOND)

    assert 5400.0 == payoffs.average_holding([TRADE, longer])
    assert payoffs.average_holding([]) is None


def test_a_short_gains_what_the_price_falls():
    short = replace(TRADE, side=Side.SELL)

    assert [0.005, -0.005] == payoffs.trade_returns([TRADE, short])
    assert 0.0 == payoffs.average_trade_return([TRADE, short])
    assert payoffs.average_trade_return([]) is None


@pytest.mark.parametrize("figure", [payoffs.win_rate, payoffs.expectancy, payoffs.median_payoff])
def test_no_trades_have_no_figures(figure):
    assert figure([]) is None


@given(paid=amounts)
def test_expectancy_is_what_wins_and_losses_come_to_by_their_frequency(paid):
    won = sum(each > 0 for each in paid) / len(paid)
    lost = sum(each < 0 for each in paid) / len(paid)
    win, loss = payoffs.average_win(paid) or 0.0, payoffs.average_loss(paid) or 0.0

    assert payoffs.expectancy(paid) == pytest.approx(won * win - lost * loss, rel=1e-9, abs=1e-9)


@given(paid=amounts, scale=st.sampled_from([0.25, 2.0, 1024.0]))
def test_ratios_do_not_know_the_currency(paid, scale):
    assume(len(set(paid)) > 1)
    floats = [float(each) for each in paid]
    scaled = [each * scale for each in floats]

    for ratio in (
        payoffs.win_rate,
        payoffs.profit_factor,
        payoffs.payoff_ratio,
        payoffs.expectancy_ratio,
        payoffs.kelly,
        payoffs.system_quality,
        payoffs.longest_losing_run,
    ):
        assert ratio(floats) == ratio(scaled)


@given(paid=amounts)
def test_kelly_has_the_sign_of_the_expectancy_where_none_came_out_even(paid):
    assume(all(paid))
    found, mean = payoffs.kelly(paid), payoffs.expectancy(paid)
    assume(found is not None and abs(found) > 1e-9)

    assert found is not None
    assert mean is not None
    assert (found > 0) == (mean > 0)
