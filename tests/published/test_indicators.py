"""Indicators against the tables that others published, row by row; docs/indicators.md lists them.

Where a rule differs the test says so: it shows how large the difference is, and that with the
other rule the published row comes out.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise
from math import isnan, nan
from typing import Any

import pytest

from nicegold.indicators import (
    Adl,
    Adx,
    Atr,
    Bollinger,
    Cci,
    Cmo,
    Dema,
    Ema,
    Kama,
    Macd,
    Mfi,
    Momentum,
    Obv,
    Psar,
    Rma,
    Roc,
    Rsi,
    Sma,
    StandardDeviation,
    Stochastic,
    Trix,
    TrueRange,
    WilliamsR,
    Wma,
    median_price,
    typical_price,
    weighted_close,
)
from tests.shared import shared

Rows = list[tuple[float, ...]]
Line = Callable[..., float]
#: A fresh indicator, as a function from the figures of a bar to one of its lines.
Make = Callable[[], Line]


def line(indicator: Any, name: str = "") -> Line:
    """The answers of *indicator*, or the line *name* of them."""
    if not name:
        return indicator.update  # type: ignore[no-any-return]
    return lambda *figures: float(getattr(indicator.update(*figures), name))


def answers(answer: Line, rows: Iterable[Sequence[float]]) -> list[float]:
    return [answer(*row) for row in rows]


def gap(theirs: Sequence[float | None], ours: Sequence[float]) -> float:
    """The largest difference on the rows that both have."""
    pairs = [
        (each, our)
        for each, our in zip(theirs, ours, strict=True)
        if each is not None and not isnan(each) and not isnan(our)
    ]
    assert pairs
    return max(abs(each - our) for each, our in pairs)


@cache
def golden(name: str) -> Any:
    return json.loads(shared(f"data/golden/{name}").read_text(encoding="utf-8"))


# Achelis, Technical Analysis from A to Z: the printed tables.

ACHELIS: dict[str, list[Make]] = {
    "ad": [lambda: line(Adl())],
    "atr": [lambda: line(Atr(4))],
    "bbands": [
        lambda: line(Bollinger(5, 2.0), "lower"),
        lambda: line(Bollinger(5, 2.0), "middle"),
        lambda: line(Bollinger(5, 2.0), "upper"),
    ],
    "cmo": [lambda: line(Cmo(5))],
    "dema": [lambda: line(Dema(5, seed="first"))],
    "medprice": [lambda: median_price],
    "mfi": [lambda: line(Mfi(14))],
    "obv": [lambda: line(Obv())],
    "rocr": [lambda: ratio(Roc(12))],
    "rsi": [lambda: line(Rsi(5))],
    "sma": [lambda: line(Sma(5))],
    "stddev": [lambda: line(StandardDeviation(5))],
    "tr": [lambda: line(TrueRange())],
    "trix": [lambda: line(Trix(3, seed="first"))],
    "typprice": [lambda: typical_price],
    "wcprice": [lambda: weighted_close],
    "wilders": [lambda: line(Rma(5))],
    "willr": [lambda: line(WilliamsR(5))],
    "wma": [lambda: line(Wma(5))],
}
#: Tables that begin earlier than we answer, or go by another rule; each has a test of its own.
ACHELIS_BY_RULE = ["ema", "macd"]


def ratio(rate: Roc) -> Line:
    """The rate of change as the book has it."""
    return lambda value: 1 + rate.update(value) / 100


def achelis(name: str) -> tuple[Rows, list[list[float]]]:
    """The inputs of a table, row by row, and its output columns, which end where the inputs do."""
    case = next(each for each in golden("indicators_achelis_a.json")["cases"] if each["indicator"] == name)
    return list(zip(*case["inputs"], strict=True)), case["outputs"]


def test_every_table_of_achelis_has_a_test():
    names = [case["indicator"] for case in golden("indicators_achelis_a.json")["cases"]]

    assert sorted(names) == sorted([*ACHELIS, *ACHELIS_BY_RULE])


@pytest.mark.parametrize("name", ACHELIS)
def test_tables_of_achelis(name):
    rows, columns = achelis(name)

    ours = [answers(make(), rows) for make in ACHELIS[name]]

    for column, mine in zip(columns, ours, strict=True):
        # Printed with four decimals, of inputs that are rounded too.
        assert pytest.approx(column, rel=1e-3, abs=5e-5) == mine[-len(column) :]
        assert all(isnan(each) for each in mine[: -len(column)])


def test_the_ema_of_achelis_counts_from_its_first_value_and_ours_once_it_is_warm():
    rows, [column] = achelis("ema")

    ours = answers(line(Ema(5, seed="first")), rows)

    assert pytest.approx(column[4:], rel=1e-4) == ours[4:]
    assert [True] * 4 == [isnan(each) for each in ours[:4]]


def test_the_macd_of_achelis_rounds_its_steps_to_15_and_7_5_percent():
    """2/(12+1) is 15.4 % and 2/(26+1) is 7.4 %; with his steps our rule gives his lines."""
    rows, [theirs, their_signal, their_histogram] = achelis("macd")
    closes = [close for (close,) in rows]

    ours = answers(line(Macd(seed="first"), "line"), rows)[-len(theirs) :]
    his = [a - b for a, b in zip(smoothed(closes, 0.15), smoothed(closes, 0.075), strict=True)][25:]
    signal = smoothed(his, 0.2)

    assert 0.08 < gap(theirs, ours) < 0.09
    assert pytest.approx(theirs, abs=5e-9) == his
    assert pytest.approx(their_signal, abs=5e-9) == signal
    assert pytest.approx(their_histogram, abs=5e-9) == [a - b for a, b in zip(his, signal, strict=True)]


def smoothed(values: list[float], step: float) -> list[float]:
    """An exponential average with any *step*, from the first value on."""
    level, levels = values[0], []
    for value in values:
        level += step * (value - level)
        levels.append(level)
    return levels


# Stock.Indicators: its regression files, two years of daily SPY.

STOCK_INDICATORS: dict[tuple[str, str], Make] = {
    ("sma", "sma"): lambda: line(Sma(20)),
    ("ema", "ema"): lambda: line(Ema(20)),
    ("rsi", "rsi"): lambda: line(Rsi(14)),
    ("tr", "tr"): lambda: line(TrueRange(skip_first=True)),
    ("atr", "tr"): lambda: line(TrueRange(skip_first=True)),
    ("atr", "atr"): lambda: line(Atr(14, skip_first=True)),
    ("atr", "atrp"): lambda: in_percent(Atr(14, skip_first=True)),
    ("macd", "macd"): lambda: line(Macd(), "line"),
    ("macd", "signal"): lambda: line(Macd(), "signal"),
    ("macd", "histogram"): lambda: line(Macd(), "histogram"),
    ("macd", "fastEma"): lambda: line(Ema(12)),
    ("macd", "slowEma"): lambda: line(Ema(26)),
    ("obv", "obv"): lambda: line(Obv()),
    ("wma", "wma"): lambda: line(Wma(14)),
    ("willr", "williamsR"): lambda: line(WilliamsR(14)),
}
FIGURES = {
    "obv": ("close", "volume"),
    "tr": ("high", "low", "close"),
    "atr": ("high", "low", "close"),
    "willr": ("high", "low", "close"),
}


def in_percent(atr: Atr) -> Line:
    """The average range in percent of the close."""
    return lambda high, low, close: 100 * atr.update(high, low, close) / close


def figures(name: str, columns: Sequence[str]) -> Rows:
    path = shared(f"data/{name}")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return [tuple(float(row[each]) for each in columns) for row in csv.DictReader(file)]


def test_every_series_of_stock_indicators_has_a_test():
    series = golden("indicators_stockindicators_a.json")["series"]

    lines = {
        (name, each) for name, columns in series.items() for each in columns if each not in ("params", "n")
    }
    assert lines == set(STOCK_INDICATORS)


@pytest.mark.parametrize("key", STOCK_INDICATORS, ids="-".join)
def test_series_of_stock_indicators(key):
    name, column = key
    theirs = [nan if each is None else each for each in series_of(name, column)]
    rows = figures("indicator_goldens/stockindicators_quotes_default.csv", FIGURES.get(name, ("close",)))

    ours = answers(STOCK_INDICATORS[key](), rows)

    assert pytest.approx(theirs, rel=1e-12, abs=1e-11, nan_ok=True) == ours


def series_of(name: str, column: str) -> list[float | None]:
    found: list[float | None] = golden("indicators_stockindicators_a.json")["series"][name][column]
    return found


# TA-Lib on 1,680 days of gold.

TALIB: dict[str, tuple[Make, int]] = {
    "SMA_20": (lambda: line(Sma(20)), 1),
    "EMA_20": (lambda: line(Ema(20)), 1),
    "RSI_14": (lambda: line(Rsi(14)), 1),
    "ATR_14": (lambda: line(Atr(14, skip_first=True)), 3),
    "BB_upper": (lambda: line(Bollinger(20, 2.0), "upper"), 1),
    "BB_mid": (lambda: line(Bollinger(20, 2.0), "middle"), 1),
    "BB_lower": (lambda: line(Bollinger(20, 2.0), "lower"), 1),
    "STOCH_k": (lambda: line(Stochastic(14, 3, 3), "k"), 3),
    "STOCH_d": (lambda: line(Stochastic(14, 3, 3), "d"), 3),
    "CCI_20": (lambda: line(Cci(20)), 3),
    "WILLR_14": (lambda: line(WilliamsR(14)), 3),
    "SAR": (lambda: line(Psar(0.02, 0.2)), 2),
    "MOM_10": (lambda: line(Momentum(10)), 1),
    "ROC_10": (lambda: line(Roc(10)), 1),
}
#: Lines whose beginning goes by another rule, and how far ours is from theirs in the first 100 rows at most.
TALIB_BY_RULE: dict[str, tuple[Make, int, float]] = {
    "MACD": (lambda: line(Macd(12, 26, 9), "line"), 1, 0.24),
    "MACD_signal": (lambda: line(Macd(12, 26, 9), "signal"), 1, 0.52),
    "MACD_hist": (lambda: line(Macd(12, 26, 9), "histogram"), 1, 0.28),
    "PLUS_DI_14": (lambda: line(Adx(14), "plus"), 3, 0.28),
    "MINUS_DI_14": (lambda: line(Adx(14), "minus"), 3, 0.38),
    "ADX_14": (lambda: line(Adx(14), "adx"), 3, 0.44),
}


def gold(count: int) -> Rows:
    """The first *count* of high, low and close; or the close alone."""
    names = ("close",) if count == 1 else ("high", "low", "close")[:count]
    rows = figures("ejtrader_mt5/XAUUSDd1.older.csv.gz", names)
    return [tuple(each / 100 for each in row) for row in rows]


def talib(name: str) -> tuple[list[float | None], list[float | None]]:
    """The first 100 and the last 200 rows."""
    lines = golden("gold_d1_talib_and_performance.json")["talib_on_price_div_100"]
    return lines["first_100_from_row_0"][name], lines["last"][name]


def test_every_line_of_talib_has_a_test():
    lines = golden("gold_d1_talib_and_performance.json")["talib_on_price_div_100"]["first_valid"]

    assert set(lines) == {*TALIB, *TALIB_BY_RULE}


@pytest.mark.parametrize("name", TALIB)
def test_lines_of_talib(name):
    make, count = TALIB[name]
    first, rest = talib(name)

    ours = answers(make(), gold(count))

    # Prices are about 1,700, so this is the 14th digit of what Cci and the bands subtract.
    assert gap(first, ours[:100]) < 2e-11
    assert gap(rest, ours[-200:]) < 2e-11


@pytest.mark.parametrize("name", TALIB_BY_RULE)
def test_lines_of_talib_that_begin_by_another_rule_come_together(name):
    make, count, most = TALIB_BY_RULE[name]
    first, rest = talib(name)

    ours = answers(make(), gold(count))

    assert most / 2 < gap(first, ours[:100]) < most
    assert gap(rest, ours[-200:]) < 1e-12


def test_the_macd_of_talib_begins_both_averages_on_the_same_day():
    """Its fast average leaves out the first 14 closes; then ours is theirs from the first row."""
    closes, theirs = gold(1), talib("MACD")[0]
    fast, slow = Ema(12), Ema(26)

    ours = [
        (fast.update(close) if day >= 14 else nan) - slow.update(close) for day, (close,) in enumerate(closes)
    ]

    assert gap(theirs, ours[:100]) < 1e-12


def test_the_directions_of_talib_begin_with_13_bars_in_a_sum_of_14():
    """Wilder's first sum has 14 bars. TA-Lib sums 13, and smooths as if there had been 14."""
    rows = gold(3)
    ranges = answers(line(TrueRange(skip_first=True)), rows)[1:]
    rises = [
        max(after[0] - before[0], 0.0) if after[0] - before[0] > before[1] - after[1] else 0.0
        for before, after in pairwise(rows)
    ]

    def wilder_sum(values: list[float]) -> list[float]:
        total, sums = sum(values[:13]), []
        for value in values[13:]:
            total += value - total / 14
            sums.append(total)
        return sums

    theirs = talib("PLUS_DI_14")[0][14:]
    plus = [100 * up / whole for up, whole in zip(wilder_sum(rises), wilder_sum(ranges), strict=True)]
    assert gap(theirs, plus[: len(theirs)]) < 1e-12


# StockCharts ChartSchool: its sheets, with six decimals.


def sheet(name: str) -> list[dict[str, str]]:
    with shared(f"data/indicator_goldens/stockcharts_cs-{name}.csv").open() as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) if row[name] else nan for row in rows]


def test_the_sheet_of_the_average_true_range():
    rows = sheet("atr")
    bars = list(zip(*(column(rows, name) for name in ("High", "Low", "Close")), strict=True))

    assert pytest.approx(column(rows, "TR")) == answers(line(TrueRange()), bars)
    # It has 0 where there is no average yet.
    theirs = [each or nan for each in column(rows, "ATR")]
    assert pytest.approx(theirs, abs=1e-9, nan_ok=True) == answers(line(Atr(14)), bars)


def test_the_sheet_of_bollinger_bands():
    rows = sheet("bbands")
    closes, bands = column(rows, "Close"), Bollinger(20, 2.0)

    ours = [(close, bands.update(close)) for close in closes]

    def printed(name: str) -> Any:
        return pytest.approx(column(rows, name), abs=1e-6, nan_ok=True)

    assert printed("MiddleBand") == [each.middle for _, each in ours]
    assert printed("HighBand") == [each.upper for _, each in ours]
    assert printed("LowBand") == [each.lower for _, each in ours]
    assert printed("WidthBand") == [each.width for _, each in ours]
    assert printed("PercentageBand") == [each.percent_of(close) / 100 for close, each in ours]
    deviation = StandardDeviation(20)
    assert printed("20-day Standard Deviation") == [deviation.update(close) for close in closes]
    warm = [(close, each) for close, each in ours if not isnan(each.middle)]
    assert column(rows, "CrossUp")[19:] == [float(close > each.upper) for close, each in warm]
    assert column(rows, "CrossDown")[19:] == [float(close < each.lower) for close, each in warm]


def test_the_sheet_of_kaufmans_average():
    rows = sheet("kama")
    average = Kama(10, 2, 30)

    ours = [average.update(close) for close in column(rows, "Close")]

    assert pytest.approx(column(rows, "KAMA"), abs=1e-6, nan_ok=True) == ours


def test_the_sheet_of_on_balance_volume():
    rows = sheet("obv")
    line, days = Obv(), zip(column(rows, "Close"), column(rows, "Volume"), strict=True)

    ours = [line.update(close, volume) for close, volume in days]

    assert column(rows, "OBV")[1:] == ours[1:]


def test_the_sheet_of_macd_and_its_signal_which_begins_before_the_sheet_does():
    rows = sheet("macd")
    closes = column(rows, "Close")
    lines = [macd.update(close) for macd in [Macd(seed="first")] for close in closes]
    fast, slow = (answers(line(Ema(n, seed="first")), zip(closes, strict=True)) for n in (12, 26))

    assert gap(column(rows, "short_ema"), fast) < 5e-9
    assert gap(column(rows, "long_ema"), slow) < 5e-9
    assert gap(column(rows, "MACD_line"), [each.line for each in lines]) < 1e-9
    # The sheet's first signal comes from days it does not show; a fifth of the rest goes each day.
    gaps = [
        abs(each.signal - theirs) for each, theirs in zip(lines, column(rows, "MACD_signal"), strict=True)
    ]
    known = [each for each in gaps if not isnan(each)]
    assert pytest.approx([known[0] * 0.8**n for n in range(20)], rel=1e-3) == known[:20]
    assert known[-1] < 1e-9
    assert abs(lines[-1].histogram - column(rows, "MACD_diff")[-1]) < 1e-9


def test_the_sheet_of_rsi_averages_from_the_first_day_on_and_wilder_after_a_window():
    """Its averages begin at zero on the first day; ours, as Wilder's, with the mean of 14 changes."""
    rows = sheet("rsi")
    closes, theirs = column(rows, "Close"), column(rows, "RSI")
    changes = [0.0, *(after - before for before, after in pairwise(closes))]
    rises = answers(line(Rma(14, seed="first")), ((max(each, 0.0),) for each in changes))
    falls = answers(line(Rma(14, seed="first")), ((max(-each, 0.0),) for each in changes))

    ours = answers(line(Rsi(14)), zip(closes, strict=True))
    by_their_rule = [100 * up / (up + down) for up, down in zip(rises, falls, strict=True)]

    assert gap(column(rows, "Avg Gain"), rises) < 1e-6
    assert gap(column(rows, "Avg Loss"), falls) < 1e-6
    assert gap(theirs, by_their_rule) < 1e-6
    assert 3.5 < gap(theirs, ours) < 4.0
