"""The figures that a page shows: what each is called, how it reads, and why it may be missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import groupby

import msgspec

from nicegold_ops.report.formats import Number, count, money, percent, ratio, sign_of, span, written
from nicegold_ops.report.result import Result
from nicegold_ops.report.significance import Interval

_NO_CASH = "the run began with no cash"
_FEW_DAYS = "it needs returns of two days or more that differ"
_FEW_RUNS = "too few days for an interval"
_SHORT = "a run of less than 30 days says nothing about a year"


class Figure(msgspec.Struct, frozen=True):
    """A figure under its *label*; an empty *text* prints as a dash that says *why* there is none.

    *sign* is that of a gain or a loss, and 0 for what is neither. *interval* is where it may lie.
    """

    label: str
    text: str
    why: str = ""
    sign: int = 0
    interval: str = ""


class Group(msgspec.Struct, frozen=True):
    """Figures that belong together."""

    title: str
    figures: list[Figure]


class Cost(msgspec.Struct, frozen=True):
    """What one kind of costs took: *amount* and *each* trade in money, *part* of the profit before it."""

    label: str
    amount: Number
    each: Number
    part: Number
    is_sum: bool = False


class Year(msgspec.Struct, frozen=True):
    """The returns of a year's twelve months, and of what the run saw of the year."""

    year: str
    months: list[float | None]
    total: float | None


def headline_of(result: Result) -> list[Figure]:
    """What is read first."""
    total, drawdown, found = result.total_return, result.max_drawdown, result.statistics
    gained = percent(total, "+z,.2f" if total else ",.2f")
    interval = _of(result, "sharpe", ratio)
    sharpe = Figure(
        "Sharpe", ratio(result.sharpe), _FEW_DAYS, interval=f"95%: {interval}" if interval else ""
    )
    a_year = Figure("Return a year", percent(found.annual_return), _SHORT, sign_of(found.annual_return))
    return [
        Figure(f"Final equity, {result.currency}", money(result.final_equity)),
        Figure("Return", gained, _NO_CASH, sign_of(total)),
        # GIPS (CFA Institute, 2020) does not let anybody head a page with less than a year made one.
        *([a_year] if found.years >= 1 else []),
        Figure("Max drawdown", percent(-drawdown), sign=sign_of(-drawdown)),
        sharpe,
        Figure("Trades", count(len(result.trades))),
    ]


def statistics_groups(result: Result) -> list[Group]:
    """All statistics, with intervals where there are any."""
    return [
        Group("Return and risk", [*_returns(result), *_risks(result)]),
        Group("Ratios", _ratios(result)),
        Group("Trades, after commission", _trades(result)),
    ]


def _returns(result: Result) -> list[Figure]:
    found = result.statistics
    return [
        Figure("Return", percent(found.total_return), _NO_CASH),
        Figure(
            "Return a year",
            percent(found.annual_return),
            _SHORT,
            interval=_of(result, "annual_return", percent),
        ),
        Figure(
            "Volatility a year",
            percent(found.annual_volatility),
            _FEW_DAYS,
            interval=_of(result, "annual_volatility", percent),
        ),
        Figure("Best day", percent(found.best_day), "no day was seen"),
        Figure("Worst day", percent(found.worst_day), "no day was seen"),
    ]


def _risks(result: Result) -> list[Figure]:
    found = result.statistics
    return [
        Figure("Max drawdown", percent(found.max_drawdown), interval=_of(result, "max_drawdown", percent)),
        Figure("Average drawdown", percent(found.average_drawdown), "there was none"),
        Figure("Longest drawdown, days", count(found.longest_drawdown)),
        Figure("Value at risk, a day at 95%", percent(found.value_at_risk), "no day was seen"),
        Figure("Expected shortfall at 95%", percent(found.conditional_value_at_risk), "no day was seen"),
        Figure("Time in market", percent(found.exposure)),
        Figure("Turnover a year, times equity", ratio(found.turnover), "no day was seen"),
    ]


def _ratios(result: Result) -> list[Figure]:
    found, odds = result.statistics, result.significance
    no_loss = "no day lost" if result.bars else "no day was seen"
    few_trades = "fewer than 20 trades won or lost"
    return [
        Figure("Sharpe", ratio(found.sharpe), _FEW_DAYS, interval=_of(result, "sharpe", ratio)),
        Figure("Sortino", ratio(found.sortino), no_loss, interval=_of(result, "sortino", ratio)),
        Figure("Calmar", ratio(found.calmar), _SHORT),
        Figure("Omega", ratio(found.omega), no_loss),
        Figure("Tail ratio", ratio(found.tail_ratio), no_loss),
        Figure("Skew of days", ratio(found.skew), _FEW_DAYS),
        Figure("Kurtosis of days (normal: 3)", ratio(found.kurtosis), _FEW_DAYS),
        Figure("Ulcer index", percent(found.ulcer_index), "no day was seen"),
        Figure("Probability that Sharpe is above 0", percent(odds.probabilistic_sharpe), _FEW_RUNS),
        Figure("p-value of the daily returns", _probability(odds.chance_of_mean), _FEW_RUNS),
        Figure("p-value of the trades", _probability(odds.chance_of_trades), few_trades),
    ]


def _trades(result: Result) -> list[Figure]:
    found = result.statistics
    net = [trade.profit - trade.costs for trade in result.trades]
    none = "" if net else "no trade was closed"
    return [
        Figure("Winning trades", percent(found.win_rate), none),
        Figure("Profit factor", ratio(found.profit_factor), none or "no trade lost"),
        Figure("Payoff ratio", ratio(found.payoff_ratio), none or "not both gains and losses"),
        Figure("Average trade", money(found.expectancy), none),
        Figure("Average trade, in average losses", ratio(found.expectancy_ratio), none or "no trade lost"),
        Figure("Median trade", money(found.median_trade), none),
        Figure("Best trade", money(max(net, default=None)), none),
        Figure("Worst trade", money(min(net, default=None)), none),
        Figure("Average win", money(found.average_win), none or "no trade won"),
        Figure("Average loss", money(found.average_loss), none or "no trade lost"),
        Figure("Longest losing run, trades", count(found.longest_losing_run)),
        Figure("Average time held", span(found.average_holding), none),
        Figure(
            "System quality (SQN)", ratio(found.system_quality), none or "it needs two trades that differ"
        ),
        Figure("Kelly fraction", percent(found.kelly), none or "not both gains and losses"),
    ]


def _probability(value: float | None) -> str:
    return written(value, ".4f")


def _of(result: Result, name: str, form: Callable[[Number], str]) -> str:
    """The interval of the figure *name*, if there is one."""
    intervals = result.significance.intervals
    found: Interval | None = getattr(intervals, name) if intervals else None
    return f"{form(found.low)} to {form(found.high)}" if found else ""


def costs_of(result: Result) -> list[Cost]:
    """From what would have been gained without costs down to what was."""
    costs, trades = result.costs, len(result.trades)
    before = costs.before if costs.spread is not None else None

    def line(label: str, amount: Number, is_sum: bool = False) -> Cost:
        known = None if amount is None else float(amount)
        each = known / trades if known is not None and trades else None
        part = known / before if known is not None and before is not None and before > 0 else None
        return Cost(label, known, each, part, is_sum)

    taken = [
        ("Spread", costs.spread),
        ("Slippage", costs.slippage),
        ("Commission", costs.commission),
        ("Swap", costs.swap),
    ]
    return [
        line("Profit before costs", before, is_sum=True),
        *(line(label, None if amount is None else -amount) for label, amount in taken),
        line("Net profit", costs.net, is_sum=True),
    ]


def facts_of(result: Result) -> list[Figure]:
    """How the run went, as a program."""
    return [
        Figure("Bars and quotes", count(result.bars)),
        Figure("Orders", count(result.orders)),
        Figure("Fills", count(result.fills)),
        Figure("Ended because", result.ended, "not recorded"),
        Figure("Seconds", ratio(result.seconds or None), "not measured"),
        Figure("Bars and quotes a second", written(result.bars_per_second or None, ",.0f"), "not measured"),
    ]


def years_of(monthly: dict[str, float | None]) -> list[Year]:
    """The rows of the table of monthly returns; a month that the run did not see is None."""
    return [
        Year(
            year,
            [monthly.get(f"{year}-{month:02}") for month in range(1, 13)],
            _compounded([monthly[month] for month in months]),
        )
        for year, months in groupby(sorted(monthly), key=lambda month: month[:4])
    ]


def heat_of(value: float | None, years: Sequence[Year]) -> int:
    """How strong *value* is among the months of *years*, in percent of the strongest."""
    most = max((abs(each) for year in years for each in year.months if each is not None), default=0.0)
    return round(100 * min(abs(value) / most, 1.0)) if value is not None and most else 0


def _compounded(returns: Sequence[float | None]) -> float | None:
    known = [1.0 + each for each in returns if each is not None]
    return math.prod(known) - 1.0 if len(known) == len(returns) else None


def most_that_mattered(payoffs: Sequence[Decimal], limit: int) -> list[int]:
    """The places of the *limit* payoffs that were furthest from nothing, in their own order."""
    by_size = sorted(range(len(payoffs)), key=lambda place: -abs(payoffs[place]))
    return sorted(by_size[:limit])
