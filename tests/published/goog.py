"""backtesting.py's SmaCross on GOOG, with nothing but what a plugin author imports.

Its trade is as large as the equity allows at the price of the fill. An order that leaves at a close
cannot know the next open, so there are two of it: `SizedAtTheClose` is what one would trade, and
`SizedAtTheOpen` watches the auction that `Auction` makes of each open, and sizes as the peer does.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from nicegold import SECOND, Bar, Market, Order, Portfolio, Quote, hookimpl, indicators, plugin, reach

#: New York trades from 9:30 to 16:00; summer time does not matter here.
OPENS, CLOSES = 14 * 3600 + 1800, 21 * 3600


def seconds_of(day: str) -> int:
    """Midnight UTC of a *day* such as 2013-03-01, seconds since 1970."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


@plugin
class Auction:
    """The days of the file *path*: twice a quote at the price of the open, then the bar.

    The first quote is the price that the auction shows, the second the one at which it trades.
    """

    path: Path
    instrument: str = "GOOG"

    @hookimpl
    def stream_market(self) -> Iterator[Market]:
        with Path(self.path).open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                midnight = seconds_of(row[""])
                start, end = (midnight + OPENS) * SECOND, (midnight + CLOSES) * SECOND
                opened, high, low, close = (float(row[name]) for name in ("Open", "High", "Low", "Close"))
                for _ in range(2):
                    yield Quote(self.instrument, start, opened, opened)
                yield Bar(self.instrument, start, end, opened, high, low, close, float(row["Volume"]))


class Cross:
    """+1 on the close that takes the fast mean above the slow one, -1 on that which takes it below."""

    def __init__(self) -> None:
        self._fast, self._slow = indicators.Sma(10), indicators.Sma(30)
        self._before = 0.0

    def update(self, close: float) -> int:
        gap, before = self._fast.update(close) - self._slow.update(close), self._before
        self._before = gap
        return (before < 0 < gap) - (gap < 0 < before)


def all_of_it(portfolio: Portfolio, price: float) -> Decimal:
    """How many shares the equity buys at *price*."""
    return Decimal(int(portfolio.equity / price))


@plugin
class SizedAtTheClose:
    """Turn all the equity on each cross, at what a share costs when the order leaves."""

    instrument: str = "GOOG"
    name: str = ""

    def __post_init__(self) -> None:
        self._cross = Cross()

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        side = self._cross.update(bar.close)
        if not side:
            return None
        return reach(side * all_of_it(portfolio, bar.close), self.instrument, self.name, portfolio)


@plugin
class SizedAtTheOpen:
    """Turn all the equity on each cross, at the price that the next auction shows; out on the day *until*."""

    until: str
    instrument: str = "GOOG"
    name: str = ""

    def __post_init__(self) -> None:
        self._cross = Cross()
        self._last = seconds_of(self.until) * SECOND
        #: Where we want to be after the next auction; None to stay.
        self._side: int | None = None

    @hookimpl
    def on_bar(self, bar: Bar) -> None:
        self._side = self._cross.update(bar.close) or None

    @hookimpl
    def on_quote(self, quote: Quote, portfolio: Portfolio) -> list[Order] | None:
        side, self._side = 0 if quote.time >= self._last else self._side, None
        if side is None:
            return None
        return reach(side * all_of_it(portfolio, quote.bid), self.instrument, self.name, portfolio)
