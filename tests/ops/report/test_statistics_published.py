"""Figures as others publish them; docs/statistics.md shows where ours differ by rule, and by how much."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nicegold import DAY, Side
from nicegold_ops.curve import Curve
from nicegold_ops.report import payoffs
from nicegold_ops.report.bootstrap import block_length
from nicegold_ops.report.drawdowns import drawdowns_of
from nicegold_ops.report.returns import (
    annual_return,
    annual_volatility,
    calmar,
    daily_returns,
    omega,
    sharpe,
    sortino,
    tail_ratio,
    total_return,
    value_at_risk,
)
from nicegold_ops.report.statistics import Statistics, statistics_of
from nicegold_ops.report.trades import Trade
from tests.shared import shared

PAGE = Path(__file__).parents[3] / "docs" / "statistics.md"
EPOCH = date(1970, 1, 1)
#: The first day of pyfolio's examples.
JANUARY_3_2000 = 10959


# empyrical-reloaded, as its own tests assert.


def published() -> dict[str, Any]:
    golden: dict[str, Any] = json.loads(shared("data/golden/performance_empyrical_a.json").read_text())
    return golden


def cases_of(golden: dict[str, Any], figure: str, **terms: str | int) -> list[tuple[list[float], float]]:
    """Returns and what they should come to, where it has a meaning and the terms are ours."""
    return [
        ([each for each in golden["series"][case["returns"]] if each is not None], case["expected"])
        for case in golden["cases"][figure]
        if case.items() >= terms.items() and isinstance(case["expected"], float)
    ]


def test_sharpe_is_as_published():
    cases = cases_of(published(), "sharpe_ratio", risk_free="0.0")

    for returns, expected in cases:
        assert sharpe(returns) == pytest.approx(expected, rel=1e-8)
    assert 3 == len(cases)


@pytest.mark.parametrize(
    ("period", "days", "count"), [("daily", 252, 2), ("weekly", 52, 1), ("monthly", 12, 1)]
)
def test_sortino_is_as_published(period, days, count):
    cases = cases_of(published(), "sortino", required_return="0.0", period=period)

    for returns, expected in cases:
        assert sortino(returns, days) == pytest.approx(expected, rel=1e-8)
    assert count == len(cases)


@pytest.mark.parametrize(("period", "days"), [("daily", 252), ("weekly", 52), ("monthly", 12)])
def test_volatility_is_as_published(period, days):
    ((returns, expected),) = cases_of(published(), "annual_volatility", period=period)

    assert annual_volatility(returns, days) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("period", "days"), [("weekly", 52), ("monthly", 12)])
def test_annual_return_and_calmar_are_as_published(period, days):
    ((returns, expected),) = cases_of(published(), "annual_ret", period=period)

    annual = annual_return(1.0, grown(returns), len(returns) / days)
    assert annual == pytest.approx(expected, rel=1e-8)
    # Asserted in their test_calmar.
    assert calmar(annual, 0.1) == pytest.approx(
        {52: 2.4690830513998208, 12: 0.52242061386048144}[days], rel=1e-8
    )


def test_max_drawdown_is_as_published():
    cases = cases_of(published(), "max_drawdown")

    for returns, expected in cases:
        assert drawdown_of(returns) == pytest.approx(-expected, abs=1e-7)
    assert 7 == len(cases)


def test_total_return_is_as_published():
    cases = cases_of(published(), "cum_returns_final", starting_value=0)

    for returns, expected in cases:
        # Printed to four or five places.
        assert total_return(1.0, grown(returns)) == pytest.approx(expected, abs=1e-5)
    assert 3 == len(cases)


def test_tail_ratio_is_as_published():
    golden = published()
    one, mixed = (
        case for case in golden["cases"]["tail_ratio"] if case["returns"] in ("one_return", "mixed_returns")
    )

    assert one["expected"] == tail_ratio(golden["series"]["one_return"])
    # They assert one place.
    assert tail_ratio(golden["series"]["mixed_returns"][1:]) == pytest.approx(mixed["expected"], abs=0.05)


@pytest.mark.parametrize(("cutoff", "expected"), [(0.1, 41.0), (0.2, 81.0), (0.3, 81.5)])
def test_value_at_risk_is_as_published(cutoff, expected):
    # Asserted in their test_value_at_risk, as a return and not as a loss.
    assert value_at_risk([1.0, 81.0, 82.0, 83.0, 84.0, 85.0], 1.0 - cutoff) == pytest.approx(-expected)


def test_holding_gold_for_years_comes_to_what_empyrical_makes_of_it():
    expected = json.loads(shared("data/golden/gold_d1_talib_and_performance.json").read_text())
    expected = expected["performance_of_buy_and_hold_close_to_close_returns"]
    with gzip.open(shared("data/ejtrader_mt5/XAUUSDd1.older.csv.gz"), "rt") as lines:
        closes = [float(row["close"]) for row in csv.DictReader(lines)]

    found = statistics_of_days(list(range(len(closes))), closes)
    # Their year is one of 252 days.
    annual = annual_return(closes[0], closes[-1], found.days / 252)

    assert expected["n"] == found.days
    assert found.total_return == pytest.approx(expected["total_return"], rel=1e-9)
    assert annual == pytest.approx(expected["annual_return"], rel=1e-9)
    assert found.max_drawdown == pytest.approx(-expected["max_drawdown"], rel=1e-9)
    assert calmar(annual, found.max_drawdown) == pytest.approx(expected["calmar"], rel=1e-9)
    assert found.omega == pytest.approx(expected["omega"], rel=1e-9)
    assert found.tail_ratio == pytest.approx(expected["tail_ratio"], rel=1e-9)
    assert found.value_at_risk == pytest.approx(-expected["value_at_risk_5pct"], rel=1e-9)
    assert found.conditional_value_at_risk == pytest.approx(-expected["cvar_5pct"], rel=1e-9)
    returns = daily_returns(closes)
    assert annual_volatility(returns) == pytest.approx(expected["annual_volatility"], rel=1e-9)
    assert sharpe(returns) == pytest.approx(expected["sharpe"], rel=1e-9)
    assert sortino(returns) == pytest.approx(expected["sortino"], rel=1e-9)


# pyfolio, as its own tests assert: three days of 10 % and 497 of nothing.

SIMPLE = [0.1] * 3 + [0.0] * 497


def test_figures_are_those_of_pyfolio():
    assert annual_return(1.0, grown(SIMPLE), 500 / 252) == pytest.approx(0.15500998835658075, rel=1e-12)
    assert annual_volatility(SIMPLE) == pytest.approx(0.12271674212427248, abs=1e-8)
    assert annual_volatility(SIMPLE, 52) == pytest.approx(0.055744909991675112, abs=1e-8)
    assert annual_volatility(SIMPLE, 12) == pytest.approx(0.026778988562993072, abs=1e-8)
    # Theirs, then, is over the deviation of the population.
    assert sharpe(SIMPLE) == pytest.approx(1.2333396776895436 * math.sqrt(499 / 500), abs=1e-8)
    assert sortino([-each for each in SIMPLE]) == pytest.approx(-1.2296340919151518, abs=1e-8)
    assert sortino([-each for each in SIMPLE[:5]]) == pytest.approx(-12.29634091915152, abs=1e-8)
    assert omega([0.1, -0.1, 0.1]) == pytest.approx(2.0, rel=1e-12)


def test_a_drawdown_begins_and_ends_on_the_days_that_pyfolio_finds():
    closes = dict(enumerate([120.0, 100.0, 80.0, 70.0, 110.0, 180.0, 150.0], JANUARY_3_2000 + 1))

    deepest = max(drawdowns_of(100.0, closes), key=lambda each: each.depth)

    days = (deepest.peak_day, deepest.trough_day, deepest.end_day)
    assert ["2000-01-04", "2000-01-07", "2000-01-09"] == [str(date.fromordinal(719163 + day)) for day in days]


def test_a_drawdown_that_pyfolio_finds_open_is_not_recovered():
    closes = dict(enumerate([120.0, 100.0, 80.0, 70.0, 80.0, 90.0, 90.0], JANUARY_3_2000 + 1))

    (found,) = drawdowns_of(100.0, closes)

    assert (JANUARY_3_2000 + 1, JANUARY_3_2000 + 4) == (found.peak_day, found.trough_day)
    assert not found.is_recovered


# ffn, as its own tests assert, and what its release makes of the same prices.


def ffn_prices(symbol: str) -> tuple[list[int], list[float]]:
    with shared("data/perf_goldens/ffn_test_data.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    days = [(datetime.strptime(row["Date"], "%m/%d/%Y").date() - EPOCH).days for row in rows]
    return days, [float(row[symbol]) for row in rows]


@pytest.mark.parametrize(("symbol", "expected"), [("AAPL", 0.440), ("MSFT", 0.041), ("C", -0.205)])
def test_annual_returns_are_those_that_ffn_asserts(symbol, expected):
    found = statistics_of_days(*ffn_prices(symbol))

    assert found.annual_return == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    ("symbol", "total", "drawdown"), [("AAPL", -0.079, 0.086), ("MSFT", -0.038, 0.048), ("C", 0.012, 0.033)]
)
def test_the_first_two_weeks_are_as_ffn_asserts(symbol, total, drawdown):
    days, closes = ffn_prices(symbol)

    assert total_return(closes[0], closes[10]) == pytest.approx(total, abs=5e-4)
    assert statistics_of_days(days[:10], closes[:10]).max_drawdown == pytest.approx(drawdown, abs=5e-4)


#: What empyrical-reloaded 0.7.1, ffn 1.4.1 and arch 8.0.0 from PyPI make of ffn's prices; run by us.
COMPUTED = {
    "AAPL": {
        "total_return": 37.361271676300575,
        "annual_return": 0.440160797470426,
        "annual_volatility": 0.3690598834221495,
        "best_day": 0.13904958677685952,
        "worst_day": -0.1791952588895821,
        "value_at_risk": 0.03500039480756198,
        "conditional_value_at_risk": 0.05031187023516285,
        "max_drawdown": 0.6086673672621729,
        "average_drawdown": 0.050438816785003115,
        "ulcer_index": 0.20513808715913463,
        "sharpe": 1.1746232565319066,
        "sortino": 1.7836615793456587,
        "calmar": 0.723154913742623,
        "omega": 1.2309417013544446,
        "tail_ratio": 1.0931581176374385,
        "skew": 0.12915533092575385,
        "kurtosis": 3 + 4.700058620345517,
    },
    "C": {
        "total_return": -0.8992684413737045,
        "annual_return": -0.20511755149584643,
        "annual_volatility": 0.6096853354036127,
        "best_day": 0.5782493368700263,
        "worst_day": -0.3902439024390244,
        "value_at_risk": 0.04746567624128964,
        "conditional_value_at_risk": 0.08767420097818672,
        "max_drawdown": 0.9819180996277256,
        "average_drawdown": 0.15612406591416927,
        "ulcer_index": 0.7077267687603987,
        "sharpe": -0.07603495741664905,
        "sortino": -0.11315731455403745,
        "calmar": -0.20889476584005592,
        "omega": 0.981774915555536,
        "tail_ratio": 0.9156979122948211,
        "skew": 1.5526674612748972,
        "kurtosis": 3 + 39.46341340719355,
    },
}
BLOCKS = {"AAPL": 0.30595860580223183, "MSFT": 4.1599911444721345, "C": 14.113738723205195}


@pytest.mark.parametrize("symbol", COMPUTED)
def test_each_figure_of_ten_years_is_what_empyrical_or_ffn_makes_of_them(symbol):
    found = statistics_of_days(*ffn_prices(symbol))

    for name, expected in COMPUTED[symbol].items():
        assert getattr(found, name) == pytest.approx(expected, rel=1e-9), name


@pytest.mark.parametrize("symbol", BLOCKS)
def test_blocks_are_as_long_as_arch_makes_them_but_not_shorter_than_a_day(symbol):
    returns = daily_returns(ffn_prices(symbol)[1])

    assert block_length(returns) == pytest.approx(max(BLOCKS[symbol], 1.0), rel=1e-9)


# The page shows each figure, and each difference.


def test_each_figure_is_on_the_page():
    page = PAGE.read_text()

    assert [] == [name for name in Statistics.__struct_fields__ if f"`{name}`" not in page]


#: What empyrical-reloaded 0.7.1 and ffn 1.4.1 make of AAPL where it is not ours.
THEIRS = {
    "Annual return, empyrical": 0.44092411887354577,
    "Calmar, empyrical": 0.7244090000370036,
    "Skew, ffn": 0.12923239002615694,
    "Kurtosis, empyrical and scipy": 4.700058620345517,
    "Kurtosis, ffn": 4.711800875975605,
    "Longest drawdown, ffn (days)": 660.0,
    "Ulcer index, ffn": 20.513808715913463,
    "VaR 95 %, empyrical": -0.03500039480756198,
    "CVaR 95 %, empyrical": -0.05031187023516285,
    "Max drawdown, empyrical and ffn": -0.6086673672621729,
}


def test_the_page_shows_what_empyrical_and_ffn_make_of_apple_and_what_we_make_of_it():
    found = statistics_of_days(*ffn_prices("AAPL"))
    ours = [
        found.annual_return,
        found.calmar,
        found.skew,
        found.kurtosis,
        found.kurtosis,
        found.longest_drawdown,
        found.ulcer_index,
        found.value_at_risk,
        found.conditional_value_at_risk,
        found.max_drawdown,
    ]

    expected = [
        (name, *map(printed, pair)) for name, *pair in zip(THEIRS, THEIRS.values(), ours, strict=True)
    ]
    assert expected == rows_below("## Against empyrical and ffn")


def test_the_page_shows_backtestings_table_and_what_we_make_of_the_same_run():
    theirs = crossed()["expected"]
    ours = figures_in_their_terms()

    expected = [(name, printed(in_days(theirs[name])), printed(ours[name])) for name in ours]
    assert expected == rows_below("## Against backtesting.py")
    # What a run's result says elsewhere than in its statistics.
    elsewhere = {"Start", "End", "Duration", "Equity Final [$]", "Equity Peak [$]", "Buy & Hold Return [%]"}
    assert set(theirs) == {*ours, *elsewhere, "Alpha [%]", "Beta"}


@pytest.mark.parametrize(
    "name",
    [
        "Return [%]",
        "CAGR [%]",
        "# Trades",
        "Win Rate [%]",
        "Best Trade [%]",
        "Worst Trade [%]",
        "Expectancy [%]",
        "Max. Trade Duration",
        "Max. Drawdown Duration",
        "SQN",
        "Kelly Criterion",
    ],
)
def test_figures_of_the_published_run_agree(name):
    theirs = crossed()["expected"]

    assert figures_in_their_terms()[name] == pytest.approx(in_days(theirs[name]), rel=1e-9)


@pytest.mark.parametrize("name", ["Max. Drawdown [%]", "Avg. Drawdown [%]"])
def test_drawdowns_of_the_published_run_agree_but_for_the_sign(name):
    theirs = crossed()["expected"]

    assert figures_in_their_terms()[name] == pytest.approx(-theirs[name], rel=1e-9)


def test_the_rules_that_the_page_names_are_what_makes_theirs_of_ours():
    theirs, run = crossed()["expected"], published_run()
    returns, paid = np.array(daily_returns(run.closes)), payoffs.trade_returns(run.trades)
    ours = figures_in_their_terms()

    # A geometric mean of days, and the deviation of a year that compounds like it.
    mean = math.exp(np.log1p(returns).mean())
    annual = mean**252 - 1.0
    volatility = math.sqrt((returns.var(ddof=1) + mean**2) ** 252 - mean**504)
    downside = math.sqrt(np.square(np.minimum(returns, 0.0)).mean() * 252)
    assert 100 * annual == pytest.approx(theirs["Return (Ann.) [%]"], rel=1e-9)
    assert 100 * volatility == pytest.approx(theirs["Volatility (Ann.) [%]"], rel=1e-9)
    assert annual / volatility == pytest.approx(theirs["Sharpe Ratio"], rel=1e-9)
    assert annual / downside == pytest.approx(theirs["Sortino Ratio"], rel=1e-9)
    assert annual / run.statistics.max_drawdown == pytest.approx(theirs["Calmar Ratio"], rel=1e-9)
    # Trades by their percentage instead of their money.
    assert payoffs.profit_factor(paid) == pytest.approx(theirs["Profit Factor"], rel=1e-9)
    assert 100 * math.expm1(np.log1p(paid).mean()) == pytest.approx(theirs["Avg. Trade [%]"], rel=1e-9)
    # Mean durations are rounded up to days.
    for name in ("Avg. Trade Duration", "Avg. Drawdown Duration"):
        assert math.ceil(ours[name]) == in_days(theirs[name])


class Run:
    """backtesting.py's published run: its trades, and the equity that follows from them and GOOG's closes."""

    def __init__(self) -> None:
        with shared("data/backtestingpy/GOOG.csv").open() as lines:
            rows = list(csv.DictReader(lines))
        self.days = [(date.fromisoformat(row[""]) - EPOCH).days for row in rows]
        prices = np.array([float(row["Close"]) for row in rows])
        equity, held = np.full(len(rows), 10_000.0), np.zeros(len(rows), bool)
        self.trades = []
        for each in crossed()["trades_COMPUTED_backtesting_0.6.6"]:
            entry, leave = each["entry_bar"], each["exit_bar"]
            equity[entry:leave] += each["size"] * (prices[entry:leave] - each["entry_price"])
            equity[leave:] += each["pnl"]
            held[entry:leave] = True
            self.trades.append(self._trade(each))
        self.closes = equity.tolist()
        self.statistics = statistics_of_days(self.days, self.closes, self.trades, float(held.mean()))

    def _trade(self, each: dict[str, Any]) -> Trade:
        return Trade(
            strategy="cross",
            symbol="GOOG",
            side=Side.BUY if each["size"] > 0 else Side.SELL,
            quantity=Decimal(abs(each["size"])),
            entry_time=self.days[each["entry_bar"]] * DAY,
            entry_price=Decimal(str(each["entry_price"])),
            exit_time=self.days[each["exit_bar"]] * DAY,
            exit_price=Decimal(str(each["exit_price"])),
            profit=Decimal(str(each["pnl"])),
            costs=Decimal(0),
        )


@cache
def crossed() -> dict[str, Any]:
    golden: dict[str, Any] = json.loads(shared("data/golden/backtest_smacross_goog.json").read_text())
    return golden


@cache
def published_run() -> Run:
    return Run()


def figures_in_their_terms() -> dict[str, float]:
    """Ours under the names that backtesting.py has for them; in percent and days as theirs are."""
    run = published_run()
    found, paid = run.statistics, payoffs.trade_returns(run.trades)
    held = [(trade.exit_time - trade.entry_time) / DAY for trade in run.trades]
    falls = drawdowns_of(run.closes[0], dict(zip(run.days[1:], run.closes[1:], strict=True)))
    figures = {
        "Exposure Time [%]": 100 * found.exposure,
        "Return [%]": 100 * (found.total_return or 0.0),
        "Return (Ann.) [%]": 100 * (found.annual_return or 0.0),
        "Volatility (Ann.) [%]": 100 * (found.annual_volatility or 0.0),
        "CAGR [%]": 100 * (found.annual_return or 0.0),
        "Sharpe Ratio": found.sharpe,
        "Sortino Ratio": found.sortino,
        "Calmar Ratio": found.calmar,
        "Max. Drawdown [%]": 100 * found.max_drawdown,
        "Avg. Drawdown [%]": 100 * (found.average_drawdown or 0.0),
        "Max. Drawdown Duration": found.longest_drawdown,
        "Avg. Drawdown Duration": sum(each.days for each in falls) / len(falls),
        "# Trades": found.trades,
        "Win Rate [%]": 100 * (found.win_rate or 0.0),
        "Best Trade [%]": 100 * max(paid),
        "Worst Trade [%]": 100 * min(paid),
        "Avg. Trade [%]": 100 * (found.average_trade_return or 0.0),
        "Max. Trade Duration": max(held),
        "Avg. Trade Duration": (found.average_holding or 0.0) / 86400,
        "Profit Factor": found.profit_factor,
        "Expectancy [%]": 100 * (found.average_trade_return or 0.0),
        "SQN": found.system_quality,
        "Kelly Criterion": found.kelly,
    }
    return {name: 0.0 if value is None else float(value) for name, value in figures.items()}


def statistics_of_days(
    days: list[int], closes: list[float], trades: Sequence[Trade] = (), exposure: float = 1.0
) -> Statistics:
    """Of a run that began with the first of *closes*, and had the others at the end of its *days*."""
    curve = Curve(closes[0], lambda time: time)
    curve.extend(days[1:], np.array(closes[1:]), np.ones(len(days) - 1, dtype=bool))
    return statistics_of(
        curve.start,
        curve.closes,
        trades,
        max_drawdown=curve.max_drawdown,
        exposure=exposure,
        traded=0.0,
    )


def grown(returns: list[float]) -> float:
    """What one unit with these *returns* comes to."""
    return math.prod(1.0 + each for each in returns)


def drawdown_of(returns: list[float]) -> float:
    """The deepest of one unit with these *returns*, a day each."""
    closes = np.cumprod([1.0, *(1.0 + each for each in returns)]).tolist()
    return statistics_of_days(list(range(len(closes))), closes).max_drawdown


def in_days(value: float | str) -> float:
    return float(value.split(" days")[0]) if isinstance(value, str) else float(value)


def printed(value: float | None) -> str:
    assert value is not None
    return f"{value:,.4f}"


def rows_below(heading: str) -> list[tuple[str, str, str]]:
    """The first three cells of each row of the table below *heading*."""
    lines = PAGE.read_text().split(f"{heading}\n")[1].split("\n## ")[0].splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("|")][2:]
    return [(first.strip(), second.strip(), third.strip()) for first, second, third, *_ in rows]
