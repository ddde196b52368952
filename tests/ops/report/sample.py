"""A run as it might have been: hourly gold from a seeded random walk, and 120 round trips on it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from nicegold import DAY, SECOND, Account, Bar, Fill, Instrument, Portfolio, Sessions, Side, Swap
from nicegold_ops.curve import Curve
from nicegold_ops.report.result import OpenPosition, Result, Veto
from nicegold_ops.report.statistics import (
    daily_returns,
    monthly_returns,
    profit_factor,
    sharpe,
    sortino,
    total_return,
)
from nicegold_ops.report.trades import trades_of
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
    fills: list[Fill] = []
    for number, bar in enumerate(walk(bars)):
        portfolio.apply(bar)
        if bar.time % DAY == 22 * HOUR and portfolio.is_exposed:
            portfolio.apply(Swap(symbol="XAUUSD", time=bar.time, amount=Decimal("-3.17")))
        if number % 33 in (0, 21) and len(fills) < 241:
            fills.append(_fill(len(fills), bar))
            portfolio.apply(fills[-1])
        curve.sample(bar.time, portfolio.equity, portfolio.is_exposed)
    curve.settle()
    return msgspec.structs.replace(_added_up(portfolio, curve, fills), **changes)


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


def _added_up(portfolio: Portfolio, curve: Curve, fills: list[Fill]) -> Result:
    trades = trades_of(fills, {"XAUUSD": GOLD})
    returns = daily_returns(curve.daily_closes)
    points = curve.points
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
        quality={"backward": 2, "duplicate": 11},
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
        total_return=total_return(float(CASH), portfolio.equity),
        max_drawdown=curve.max_drawdown,
        sharpe=sharpe(returns),
        sortino=sortino(returns),
        profit_factor=profit_factor([trade.profit - trade.costs for trade in trades]),
        exposure=curve.exposure,
        vetoes=[
            Veto("limit", 1204, [f"would hold {lots} XAUUSD, limit is 1.00" for lots in ("1.50", "-1.50")]),
            Veto("collar", 5, [f"the price is {part} % away from the last" for part in range(2, 7)]),
        ],
        failures={},
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
    )
