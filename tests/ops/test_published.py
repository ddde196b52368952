"""The backtest of the README's configuration, against a plain loop that knows nothing of the engine."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

from nicegold_ops.app import bootstrap
from nicegold_ops.config import load
from nicegold_ops.journal import Run
from nicegold_ops.report.result import Result, result_of
from nicegold_ops.session import backtest
from tests.shared import shared

CONFIGURATION = """
[run]
mode = "backtest"
cash = "100000"
currency = "USD"
seed = 7
state = "state"

[instruments.XAUUSD]
tick_size = "0.01"
lot_size = "100"
quantity_step = "0.01"

[plugins.gold]
use = "csv"
instrument = "XAUUSD"
path = "{path}"
timezone = "UTC"
timeframe = "M15"

[plugins.cross]
use = "ma_cross"
instrument = "XAUUSD"
fast = 10
slow = 30
quantity = "0.10"

[plugins.limit]
use = "max_position"
limit = "1.00"

[plugins.venue]
use = "paper"
commission = "7.00"
"""

FAST, SLOW = 10, 30
LOTS = Decimal("0.10")
OUNCES = LOTS * 100


def test_a_backtest_agrees_with_a_plain_loop_trade_by_trade(tmp_path):
    source = shared("data/nicegold_origin/XAUUSD_M15.csv")

    result = run_backtest(tmp_path, source)

    bars = plain_bars(source)
    trades, open_profit = plain_trades(bars)
    assert len(bars) == result.bars
    assert trades == [
        (t.entry_time, t.exit_time, t.side.value, t.quantity, t.entry_price, t.exit_price, t.profit)
        for t in result.trades
    ]
    assert [Decimal("1.40")] * len(trades) == [t.costs for t in result.trades]
    closed = sum((trade[-1] for trade in trades), Decimal(0))
    paid = Decimal("0.70") * (2 * len(trades) + 1)
    assert float(100_000 + closed - paid) + open_profit == round(result.final_equity, 9)


def run_backtest(folder: Path, source: Path) -> Result:
    path = folder / "nicegold.toml"
    path.write_text(CONFIGURATION.format(path=source))
    app = bootstrap(load(path), Run("test", "backtest", 0))
    try:
        return result_of(app, backtest(app))
    finally:
        app.close()


# The plain loop.

#: Entry and exit time, side, lots, entry and exit price, profit.
Plain = tuple[int, int, str, Decimal, Decimal, Decimal, Decimal]


def plain_bars(source: Path) -> list[tuple[int, float, float]]:
    """Open time (ns UTC), open and close of each line."""
    bars = []
    with source.open() as file:
        for row in csv.DictReader(file):
            date = f"{int(row['Date'][:4]) - 543}{row['Date'][4:]}"
            moment = datetime.strptime(f"{date} {row['Timestamp']}", "%Y%m%d %I:%M:%S %p").replace(tzinfo=UTC)
            nanoseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
            bars.append((nanoseconds, float(row["Open"]), float(row["Close"])))
    return bars


def plain_trades(bars: list[tuple[int, float, float]]) -> tuple[list[Plain], float]:
    """Closed trades of the cross, turned at the next open, and what the last one would bring."""
    trades: list[Plain] = []
    entry: tuple[int, int, Decimal] | None = None
    before = 0
    closes = [close for _, _, close in bars]
    for number in range(SLOW - 1, len(bars) - 1):
        fast = sum(closes[number - FAST + 1 : number + 1]) / FAST
        slow = sum(closes[number - SLOW + 1 : number + 1]) / SLOW
        tie = abs(fast - slow) <= 1e-9 * closes[number]
        now = before if tie else (1 if fast > slow else -1)
        if before and now != before:
            time, opened, _ = bars[number + 1]
            price = Decimal(repr(opened)).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
            if entry is not None:
                entered, side, paid = entry
                profit = (price - paid) * OUNCES * side
                name = "buy" if side > 0 else "sell"
                trades.append((entered, time, name, LOTS, paid, price, profit))
            entry = (time, now, price)
        before = now
    assert entry is not None
    _, side, paid = entry
    return trades, (closes[-1] - float(paid)) * float(OUNCES) * side
