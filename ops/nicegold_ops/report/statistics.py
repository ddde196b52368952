"""What a run came to, in figures. Their formulas and sources stand with each; docs/statistics.md has all.

Returns, drawdowns and losses are parts of one, and a loss or a drawdown is positive. What is
annualized by days takes 252 of them, or 365 where Saturdays trade; what is by calendar, 365.25.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from nicegold import Fill, Instrument
from nicegold_ops.report import drawdowns, payoffs, returns
from nicegold_ops.report.trades import Trade


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a run. None where one has no meaning: it is never NaN or infinite.

    *days* have a close, *years* are by calendar, and *days_a_year* annualize. *max_drawdown* is
    exact, that of every sample; the other drawdowns are by daily closes, *longest_drawdown* in
    calendar days. *value_at_risk* and *conditional_value_at_risk* are of a day, at 95 %.
    *expectancy*, the best, the worst and the median trade, *average_win* and *average_loss* are
    account currency after costs, *expectancy_ratio* is in average losses (R), and
    *average_trade_return* a part of the entry price before costs. *average_holding* is seconds,
    *turnover* a year.
    """

    days: int
    years: float
    days_a_year: int
    total_return: float | None
    annual_return: float | None
    annual_volatility: float | None
    best_day: float | None
    worst_day: float | None
    value_at_risk: float | None
    conditional_value_at_risk: float | None
    max_drawdown: float
    average_drawdown: float | None
    longest_drawdown: int
    ulcer_index: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    omega: float | None
    tail_ratio: float | None
    skew: float | None
    kurtosis: float | None
    trades: int
    win_rate: float | None
    profit_factor: float | None
    payoff_ratio: float | None
    expectancy: float | None
    expectancy_ratio: float | None
    average_trade_return: float | None
    best_trade: float | None
    worst_trade: float | None
    median_trade: float | None
    average_win: float | None
    average_loss: float | None
    longest_losing_run: int
    average_holding: float | None
    system_quality: float | None
    kelly: float | None
    exposure: float
    turnover: float | None


def statistics_of(
    start: float,
    closes: Mapping[int, float],
    trades: Sequence[Trade],
    *,
    max_drawdown: float,
    exposure: float,
    traded: float,
) -> Statistics:
    """The figures of a run that began with equity *start*.

    *closes* are the equity at the end of each trading day, counted from 1970, oldest first.
    *exposure* is the part of the samples at which a position was open, *traded* what
    `traded_value` says of the fills.
    """
    values = list(closes.values())
    daily = returns.daily_returns([start, *values])
    falls = drawdowns.drawdowns_of(start, closes)
    paid = payoffs.payoffs_of(trades)
    years, days_a_year = returns.years_of(closes), returns.days_a_year_of(closes)
    end = values[-1] if values else start
    annual_return = returns.annual_return(start, end, years)
    return Statistics(
        days=len(closes),
        years=years,
        days_a_year=days_a_year,
        total_return=returns.total_return(start, end),
        annual_return=annual_return,
        annual_volatility=returns.annual_volatility(daily, days_a_year),
        best_day=max(daily, default=None),
        worst_day=min(daily, default=None),
        value_at_risk=returns.value_at_risk(daily),
        conditional_value_at_risk=returns.conditional_value_at_risk(daily),
        max_drawdown=max_drawdown,
        average_drawdown=drawdowns.average_drawdown(falls),
        longest_drawdown=drawdowns.longest_drawdown(falls),
        ulcer_index=drawdowns.ulcer_index([start, *values]),
        sharpe=returns.sharpe(daily, days_a_year),
        sortino=returns.sortino(daily, days_a_year),
        calmar=returns.calmar(annual_return, max_drawdown),
        omega=returns.omega(daily),
        tail_ratio=returns.tail_ratio(daily),
        skew=returns.skew(daily),
        kurtosis=returns.kurtosis(daily),
        trades=len(trades),
        win_rate=payoffs.win_rate(paid),
        profit_factor=payoffs.profit_factor(paid),
        payoff_ratio=payoffs.payoff_ratio(paid),
        expectancy=payoffs.expectancy(paid),
        expectancy_ratio=payoffs.expectancy_ratio(paid),
        average_trade_return=payoffs.average_trade_return(trades),
        best_trade=float(max(paid)) if paid else None,
        worst_trade=float(min(paid)) if paid else None,
        median_trade=payoffs.median_payoff(paid),
        average_win=payoffs.average_win(paid),
        average_loss=payoffs.average_loss(paid),
        longest_losing_run=payoffs.longest_losing_run(paid),
        average_holding=payoffs.average_holding(trades),
        system_quality=payoffs.system_quality(paid),
        kelly=payoffs.kelly(paid),
        exposure=exposure,
        turnover=turnover(traded, values, years),
    )


def traded_value(fills: Iterable[Fill], instruments: Mapping[str, Instrument]) -> float:
    """The value of all that was bought and all that was sold, account currency."""
    return math.fsum(
        fill.price * fill.quantity * instruments[fill.symbol].lot_size * fill.rate for fill in fills
    )


def turnover(traded: float, closes: Sequence[float], years: float) -> float | None:
    """How often a year the mean of the equity's *closes* was *traded*: bought and sold both count."""
    mean = math.fsum(closes) / len(closes) if closes else 0.0
    return traded / mean / years if mean > 0 and years > 0 else None
