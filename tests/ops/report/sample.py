"""A run as it might have been: hourly gold from a seeded random walk, and 120 round trips on it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from nicegold import (
    DAY,
    SECOND,
    Account,
    Bar,
    Fill,
    Instrument,
    OrderType,
    Portfolio,
    Sessions,
    Side,
    Source,
    Swap,
)
from nicegold_ops.curve import Curve
from nicegold_ops.report.benchmark import buy_and_hold
from nicegold_ops.report.costs import Costs, Histogram, Slippage
from nicegold_ops.report.gaps import Gap, Gaps
from nicegold_ops.report.payoffs import payoffs_of
from nicegold_ops.report.prices import Candles
from nicegold_ops.report.result import OpenPosition, Result
from nicegold_ops.report.returns import daily_returns, monthly_returns
from nicegold_ops.report.significance import significance_of
from nicegold_ops.report.statistics import statistics_of, traded_value
from nicegold_ops.report.trades import trades_of
from nicegold_ops.report.vetoes import Reason, Veto
from nicegold_ops.telemetry import HookSummary

GOLD = Instrument(
    symbol="XAUUSD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal(100),
    quantity_step=Decimal("0.01"),
    sessions=Sessions.parse("gold"),
)
CASH = Decimal(100_000)
HOUR = 3600 * SECOND
#: 2023-09-04 00:00 UTC, a Monday.
MONDAY = 19604 * DAY
CONFIGURATION = """\
[run]
mode = "backtest"
cash = "100000"
currency = "USD"
seed = 7

[instruments.XAUUSD]
tick_size = "0.01"
lot_size = "100"
quantity_step = "0.01"         # lots

[plugins.gold]
use = "csv"
instrument = "XAUUSD"
path = "XAUUSD_H1.csv"
timezone = "UTC"
timeframe = "H1"

[plugins.cross]
use = "ma_cross"
instrument = "XAUUSD"
fast = 10
slow = 30
quantity = "0.50"

[plugins.limit]
use = "max_position"
limit = "1.00"

[plugins.venue]
use = "paper"
commission = "7.00"            # account currency a lot a side
"""


def result(bars: int = 4000, **changes: Any) -> Result:
    """What 120 round trips in *bars* came to, but for *changes* of its fields."""
    portfolio = Portfolio(Account(CASH, "USD"), {"XAUUSD": GOLD})
    curve = Curve(float(CASH), GOLD.sessions.trading_day)
    candles = Candles()
    fills: list[Fill] = []
    for number, bar in enumerate(walk(bars)):
        portfolio.apply(bar)
        candles.add(bar)
        if bar.time % DAY == 22 * HOUR and portfolio.is_exposed:
            portfolio.apply(Swap(symbol="XAUUSD", time=bar.time, amount=Decimal("-3.17")))
        if number % 33 in (0, 21) and len(fills) < 241:
            fills.append(_fill(len(fills), bar))
            portfolio.apply(fills[-1])
        held = float(portfolio.position("XAUUSD").quantity) * 100 * bar.close / portfolio.equity
        candles.hold(held, 1.0)
        curve.extend([bar.time], np.array([portfolio.equity]), np.array([portfolio.is_exposed]))
    return msgspec.structs.replace(_added_up(portfolio, curve, fills, candles), **changes)


def empty() -> Result:
    """A run that saw no bar."""
    return result(0, vetoes=[], hooks=[], quality={}, seconds=0.0, bars_per_second=0.0)


def walk(bars: int) -> Iterator[Bar]:
    """Hourly bars while gold trades."""
    draw = random.Random(6)
    price, time = 1939.5, MONDAY
    while bars:
        time += HOUR
        if not GOLD.sessions.is_open(time - HOUR):
            continue
        bars -= 1
        opened, price = price, round(price * (1.0 + draw.gauss(0.00004, 0.0016)), 2)
        low, high = min(opened, price) - 0.4, max(opened, price) + 0.4
        yield Bar("XAUUSD", time - HOUR, time, opened, high, low, price)


def _fill(number: int, bar: Bar) -> Fill:
    """Long and short by turns, half a lot each; each second fill closes."""
    side = Side.BUY if number % 4 in (0, 3) else Side.SELL
    return Fill(
        order_id=f"cross-{number}",
        trade_id=f"venue-{number}",
        time=bar.time,
        symbol="XAUUSD",
        side=side,
        quantity=Decimal("0.50"),
        price=GOLD.to_price(bar.close),
        commission=Decimal("3.50"),
        strategy="cross",
    )


def _added_up(portfolio: Portfolio, curve: Curve, fills: list[Fill], candles: Candles) -> Result:
    instruments = {"XAUUSD": GOLD}
    trades = trades_of(fills, instruments)
    statistics = statistics_of(
        float(CASH),
        curve.closes,
        trades,
        max_drawdown=curve.max_drawdown,
        exposure=curve.exposure,
        traded=traded_value(fills, instruments),
    )
    points = curve.points
    prices = {"XAUUSD": candles.candles} if candles.candles else {}
    held = portfolio.position("XAUUSD")
    return Result(
        run="backtest-20240507-000000-7",
        mode="backtest",
        ended="the feeds ended",
        version="0.1.0",
        currency="USD",
        start=points[0].time if points else 0,
        end=portfolio.time,
        bars=curve.samples,
        instruments=["XAUUSD"],
        strategies={"cross": "ma_cross"},
        sources={"gold": Source("XAUUSD_H1.csv", "0c5e")},
        quality={"backward": 2, "duplicate": 11},
        refused=0,
        gaps=[Gaps("XAUUSD", curve.samples, 1, 3, [Gap(MONDAY, MONDAY + 3 * HOUR, 3)])],
        orders=len(fills),
        fills=len(fills),
        trades=trades,
        positions=[OpenPosition("XAUUSD", held.quantity, held.average_price, portfolio.price("XAUUSD"))]
        if held.quantity
        else [],
        initial_cash=CASH,
        final_equity=portfolio.equity,
        commission=portfolio.commission,
        swap=portfolio.swap,
        costs=Costs(
            commission=portfolio.commission,
            swap=-portfolio.swap,
            spread=1205.5,
            slippage=240.25,
            net=portfolio.equity - float(CASH),
        ),
        slippage=[
            Slippage(
                symbol="XAUUSD",
                order_type=OrderType.MARKET,
                fills=len(fills),
                unmeasured=0,
                mean=0.02,
                median=0.019,
                high=0.05,
                worst=0.4,
                mean_bps=0.1,
                money=240.25,
            )
        ],
        slippage_histogram=Histogram([0.0, 0.1, 0.2], [200, 41]),
        total_return=statistics.total_return,
        max_drawdown=curve.max_drawdown,
        sharpe=statistics.sharpe,
        sortino=statistics.sortino,
        profit_factor=statistics.profit_factor,
        exposure=curve.exposure,
        statistics=statistics,
        significance=significance_of(
            daily_returns(curve.daily_closes), payoffs_of(trades), statistics.years, 7
        ),
        benchmark=buy_and_hold(float(CASH), prices),
        vetoes=[
            Veto("limit", 1204, [Reason("would hold 1.50 XAUUSD, limit is 1.00", 1204)]),
            Veto("collar", 5, [Reason("the price is 2 % away from the last", 5)]),
        ],
        failures=[],
        halted="",
        hooks=[
            HookSummary("on_bar", "cross", 4000, 0, 8.2e-6, 23.6e-6),
            HookSummary("check_order", "limit", 1445, 0, 1.9e-6, 4.4e-6),
            HookSummary("place_order", "venue", 241, 0, 3.1e-6, 1.21e-3),
        ],
        fingerprint="3f0c6f3a5f0b1f7f5a1f6b8f0e4a2f1f3c2d9e8b7a6f5e4d3c2b1a0f9e8d7c6b",
        seconds=0.0173,
        bars_per_second=231_213.8,
        configuration=CONFIGURATION,
        monthly=monthly_returns(float(CASH), curve.closes),
        curve=points,
        prices=prices,
    )
