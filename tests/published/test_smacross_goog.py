"""backtesting.py's SmaCross on GOOG: its 66 trades one by one, and each figure of its table."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from itertools import pairwise
from math import ceil, exp, fsum, log, sqrt
from statistics import linear_regression
from typing import Any

import numpy as np
import pytest

from nicegold import DAY
from nicegold_ops.report.drawdowns import drawdowns_of
from nicegold_ops.report.payoffs import trade_returns
from nicegold_ops.report.trades import Trade
from tests.published.page import rows_missing
from tests.published.runs import Backtested, backtested
from tests.shared import shared

CASH = 10_000.0
HEAD = """
[run]
mode = "backtest"
cash = "10000"
currency = "USD"
seed = 7

[instruments.GOOG]
tick_size = "0.01"

[plugins.venue]
use = "paper"

[plugins.limit]
use = "max_position"
limit = "100000"
"""
AT_THE_OPEN = """
[plugins.auction]
use = "tests.published.goog:Auction"
path = "{path}"

[plugins.cross]
use = "tests.published.goog:SizedAtTheOpen"
until = "2013-03-01"
"""
AT_THE_CLOSE = """
[plugins.days]
use = "csv"
instrument = "GOOG"
path = "{path}"
timezone = "UTC"
timeframe = "D1"

[plugins.cross]
use = "tests.published.goog:SizedAtTheClose"
"""


def run(folder: Any, rest: str) -> Backtested:
    return backtested(folder, HEAD + rest.format(path=shared("data/backtestingpy/GOOG.csv")))


@pytest.fixture(scope="module")
def run_at_the_open(tmp_path_factory):
    """The run as the peer's rules have it."""
    return run(tmp_path_factory.mktemp("open"), AT_THE_OPEN)


@pytest.fixture(scope="module")
def golden():
    return json.loads(shared("data/golden/backtest_smacross_goog.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def file():
    """Days (counted from 1970) and closes of GOOG."""
    with shared("data/backtestingpy/GOOG.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    days = np.array([row[""] for row in rows], "datetime64[D]").astype(int)
    return days.tolist(), [float(row["Close"]) for row in rows]


def test_each_of_the_66_trades_is_the_published_one(run_at_the_open, golden, file):
    days, _ = file

    ours = [
        (
            int(trade.quantity) * trade.side.sign,
            days.index(trade.entry_time // DAY),
            days.index(trade.exit_time // DAY),
            float(trade.entry_price),
            float(trade.exit_price),
            round(float(trade.profit), 6),
        )
        for trade in run_at_the_open.result.trades
    ]

    names = ("size", "entry_bar", "exit_bar", "entry_price", "exit_price", "pnl")
    theirs = [
        tuple(round(each[name], 6) for name in names) for each in golden["trades_COMPUTED_backtesting_0.6.6"]
    ]
    assert 66 == len(ours)
    assert theirs == ours


def test_by_their_formulas_our_run_comes_to_their_table(run_at_the_open, golden, file):
    by_their_rule = their_table(run_at_the_open, *file)

    published = {
        name: int(value.split()[0]) if str(value).endswith("days 00:00:00") else value
        for name, value in golden["expected"].items()
        if name not in ("Start", "End")
    }
    assert pytest.approx(published, rel=1e-9) == by_their_rule


def their_table(run: Backtested, days: list[int], closes: list[float]) -> dict[str, float]:
    """The table as backtesting.py computes it (backtesting/_stats.py), of our equity and our trades."""
    equity, trades = list(run.closes.values()), run.result.trades
    assert list(run.closes) == days
    gains = [after / before - 1 for before, after in pairwise(equity)]
    growth = geometric_mean(gains)
    annual = (1 + growth) ** 252 - 1
    volatility = sqrt((np.var(gains, ddof=1) + (1 + growth) ** 2) ** 252 - (1 + growth) ** 504)
    downside = sqrt(np.mean(np.minimum(gains, 0) ** 2) * 252)
    falls = drawdowns_of(CASH, run.closes)
    deepest = max(each.depth for each in falls)
    returns = trade_returns(trades)
    beta = linear_regression(log_returns(closes), log_returns(equity)).slope
    total, held = equity[-1] / CASH - 1, closes[-1] / closes[29] - 1
    return {
        "# Trades": len(trades),
        "Avg. Drawdown Duration": ceil(np.mean([each.days for each in falls])),
        "Avg. Drawdown [%]": -100 * np.mean([each.depth for each in falls]),
        "Avg. Trade Duration": ceil(np.mean(lengths(trades))),
        "Avg. Trade [%]": 100 * geometric_mean(returns),
        "Best Trade [%]": 100 * max(returns),
        "Buy & Hold Return [%]": 100 * held,
        "Calmar Ratio": annual / deepest,
        "Duration": days[-1] - days[0],
        "Equity Final [$]": run.result.final_equity,
        "Equity Peak [$]": max(equity),
        "Expectancy [%]": 100 * np.mean(returns),
        "Exposure Time [%]": 100 * bars_in(trades, days) / len(days),
        "Max. Drawdown Duration": max(each.days for each in falls),
        "Max. Drawdown [%]": -100 * deepest,
        "Max. Trade Duration": max(lengths(trades)),
        "Profit Factor": -fsum(each for each in returns if each > 0)
        / fsum(each for each in returns if each < 0),
        "Return (Ann.) [%]": 100 * annual,
        "Return [%]": 100 * total,
        "Volatility (Ann.) [%]": 100 * volatility,
        "CAGR [%]": 100 * ((1 + total) ** (365.25 / (days[-1] - days[0])) - 1),
        "SQN": system_quality([float(each.profit) for each in trades]),
        "Kelly Criterion": kelly([float(each.profit) for each in trades]),
        "Sharpe Ratio": annual / volatility,
        "Sortino Ratio": annual / downside,
        "Win Rate [%]": 100 * np.mean([each > 0 for each in returns]),
        "Worst Trade [%]": 100 * min(returns),
        "Alpha [%]": 100 * (total - beta * held),
        "Beta": beta,
    }


def log_returns(values: Sequence[float]) -> list[float]:
    return [log(after / before) for before, after in pairwise(values)]


def geometric_mean(returns: Sequence[float]) -> float:
    return exp(fsum(log(1 + each) for each in returns) / len(returns)) - 1


def lengths(trades: list[Trade]) -> list[int]:
    """Days from entry to exit."""
    return [trade.exit_time // DAY - trade.entry_time // DAY for trade in trades]


def bars_in(trades: list[Trade], days: list[int]) -> int:
    """The days with a position, those of entry and exit with it."""
    return len(
        {day for each in trades for day in days if each.entry_time // DAY <= day <= each.exit_time // DAY}
    )


def system_quality(profits: list[float]) -> float:
    return float(sqrt(len(profits)) * np.mean(profits) / np.std(profits, ddof=1))


def kelly(profits: list[float]) -> float:
    wins = float(np.mean([each > 0 for each in profits]))
    won, lost = ([each for each in profits if side * each > 0] for side in (1, -1))
    return float(wins + (1 - wins) * np.mean(lost) / np.mean(won))


def test_the_figures_that_we_print_by_the_same_rule_are_theirs(run_at_the_open, golden):
    result, theirs = run_at_the_open.result, golden["expected"]
    ours = result.statistics

    assert pytest.approx(
        {
            "# Trades": ours.trades,
            "Equity Final [$]": result.final_equity,
            "Return [%]": 100 * ours.total_return,
            "Avg. Drawdown [%]": -100 * ours.average_drawdown,
            "Win Rate [%]": 100 * ours.win_rate,
            "Expectancy [%]": 100 * ours.average_trade_return,
            "SQN": ours.system_quality,
            "Kelly Criterion": ours.kelly,
        },
        rel=1e-9,
    ) == {
        name: theirs[name]
        for name in (
            "# Trades",
            "Equity Final [$]",
            "Return [%]",
            "Avg. Drawdown [%]",
            "Win Rate [%]",
            "Expectancy [%]",
            "SQN",
            "Kelly Criterion",
        )
    }
    assert f"{ours.longest_drawdown} days 00:00:00" == theirs["Max. Drawdown Duration"]


def test_the_page_shows_the_figures_that_we_print_by_another_rule(run_at_the_open, golden):
    result, theirs = run_at_the_open.result, golden["expected"]
    ours = result.statistics
    by_name = {
        "CAGR [%]": 100 * ours.annual_return,
        "Return (Ann.) [%]": 100 * ours.annual_return,
        "Volatility (Ann.) [%]": 100 * ours.annual_volatility,
        "Sharpe Ratio": ours.sharpe,
        "Sortino Ratio": ours.sortino,
        "Calmar Ratio": ours.calmar,
        "Max. Drawdown [%]": -100 * ours.max_drawdown,
        "Profit Factor": ours.profit_factor,
        "Exposure Time [%]": 100 * ours.exposure,
    }

    rows = [(name, f"{theirs[name]:.4f}", f"{our:.4f}") for name, our in by_name.items()]

    assert [] == rows_missing(*rows)
    assert all(abs(our - theirs[name]) > 1e-4 for name, our in by_name.items())


def test_sized_at_the_close_the_trades_are_the_same_but_for_their_sizes(tmp_path, golden, file):
    """An order for the next open cannot know its price, so nobody can trade the peer's sizes exactly."""
    days, _ = file

    result = run(tmp_path, AT_THE_CLOSE).result

    theirs = golden["trades_COMPUTED_backtesting_0.6.6"]
    # A day of the file is known when it is over, at midnight; its trade is at its open.
    ours = [
        (days.index(trade.entry_time // DAY), days.index(trade.exit_time // DAY), trade.side.sign)
        for trade in result.trades
    ]
    assert [
        (each["entry_bar"], each["exit_bar"], math.copysign(1, each["size"])) for each in theirs[:-1]
    ] == ours
    prices = [(float(trade.entry_price), float(trade.exit_price)) for trade in result.trades]
    assert [(each["entry_price"], each["exit_price"]) for each in theirs[:-1]] == prices
    # The last is closed by the peer at the last open; with us it stays open, at the last close.
    [left] = result.positions
    assert (64.0, 695.0, 806.19) == (float(left.quantity), float(left.average_price), left.price)
    others = sum(
        int(trade.quantity) != abs(each["size"]) for trade, each in zip(result.trades, theirs, strict=False)
    )
    row = ("sized at the close", "66", str(others), f"{result.final_equity:,.2f}")
    assert [] == rows_missing(row)
