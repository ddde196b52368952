"""The moving-average cross on which other engines are measured: their fills and their final equity.

The bench compares speed and feeds bars from memory; this is a file, a configuration and a backtest.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nicegold import SECOND
from nicegold_ops.report.result import Result
from tests.bench.scenario import EXPECTED, rows
from tests.published.page import rows_missing
from tests.published.runs import backtested

CONFIGURATION = """
[run]
mode = "backtest"
cash = "1000000"
currency = "USD"
seed = 7

[instruments.XAUUSD]
tick_size = "0.01"
sessions = "always"

[plugins.minutes]
use = "csv"
instrument = "XAUUSD"
path = "bars.csv"
timezone = "UTC"
timeframe = "M1"

[plugins.limit]
use = "max_position"
limit = "100"

[plugins.venue]
use = "paper"
commission_rate = "0.0001"

[plugins.cross]
use = "ma_cross"
instrument = "XAUUSD"
fast = 10
slow = 30
quantity = "10"
allow_short = false
"""


def run(folder: Path, count: int, *, gap: bool) -> Result:
    with (folder / "bars.csv").open("w", encoding="utf-8") as file:
        file.write("time,open,high,low,close,volume\n")
        for start, *figures in rows(count, gap=gap):
            moment = datetime.fromtimestamp(start // SECOND, UTC)
            file.write(f"{moment:%Y-%m-%d %H:%M},{','.join(map(str, figures))}\n")
    return backtested(folder, CONFIGURATION).result


@pytest.mark.parametrize(("count", "gap"), [(20_000, False), (20_000, True), (100_000, False)])
def test_fills_and_final_equity_are_those_of_the_peers_that_fill_at_the_next_open(tmp_path, count, gap):
    result = run(tmp_path, count, gap=gap)

    fills, equity = EXPECTED[count, gap]
    assert (fills, equity) == (result.fills, round(result.final_equity, 2))
    data = "gaps" if gap else "no gaps"
    assert [] == rows_missing((f"{count:,}", data, f"{fills:,}", f"{equity:,.2f}"))
