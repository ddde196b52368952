"""nautilus_trader's EMA cross on currencies, by its rules, with nothing but what a plugin author imports."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from nicegold import (
    Bar,
    Market,
    Order,
    Portfolio,
    Quote,
    bar_lengths,
    hookimpl,
    indicators,
    parse_timeframe,
    plugin,
    reach,
)


@plugin
class Ticks:
    """The quotes of the Parquet file *path*, whose prices are in units of 10^-9."""

    path: Path
    instrument: str

    @hookimpl
    def stream_market(self) -> Iterator[Market]:
        from pyarrow import parquet

        for batch in parquet.ParquetFile(self.path).iter_batches(
            columns=["ts_event", "bid_price", "ask_price"]
        ):
            for time, bid, ask in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield Quote(self.instrument, time, bid / 1e9, ask / 1e9)


@plugin
class Gapless:
    """Bars of *timeframe* from quotes (of their middle) or from bars; where nothing came, the last close."""

    timeframe: str

    def __post_init__(self) -> None:
        self._length = parse_timeframe(self.timeframe)
        self._symbol = ""
        self._end = 0
        self._prices: list[float] = []

    @hookimpl
    def derive_market(self, market: Market) -> list[Bar]:
        self._symbol = market.symbol
        if isinstance(market, Quote):
            complete = self._up_to(market.time)
            self._prices.append((market.bid + market.ask) / 2)
            return complete
        complete = self._up_to(market.start)
        self._prices += [market.open, market.high, market.low, market.close]
        return [*complete, *self._up_to(market.time)]

    def _up_to(self, time: int) -> list[Bar]:
        """The bars that are complete at *time*; what remains is the close before."""
        complete = []
        self._end = self._end or time - time % self._length + self._length
        while self._end <= time:
            prices = self._prices
            ends = prices[0], max(prices), min(prices), prices[-1]
            complete.append(Bar(self._symbol, self._end - self._length, self._end, *ends))
            self._prices = prices[-1:]
            self._end += self._length
        return complete


@plugin
class TickBars:
    """A bar of the middle of each *count* quotes."""

    count: int

    def __post_init__(self) -> None:
        self._times: list[int] = []
        self._prices: list[float] = []

    @hookimpl
    def derive_market(self, market: Market) -> list[Bar] | None:
        if isinstance(market, Bar):
            return None
        self._times.append(market.time)
        self._prices.append((market.bid + market.ask) / 2)
        if len(self._prices) < self.count:
            return None
        times, prices = self._times, self._prices
        self._times, self._prices = [], []
        ends = prices[0], max(prices), min(prices), prices[-1]
        return [Bar(market.symbol, times[0], times[-1], *ends)]


@plugin
class FastOverSlow:
    """Always in the market once the averages are warm: long while the fast one is not below the slow one.

    *timeframe* picks the bars of one length.
    """

    quantity: Decimal
    fast: int = 10
    slow: int = 20
    timeframe: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        self._lengths = bar_lengths(self.timeframe)
        self._fast = indicators.Ema(self.fast, seed="first")
        self._slow = indicators.Ema(self.slow, seed="first")
        self._side: bool | None = None

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        if self.timeframe and bar.time - bar.start not in self._lengths:
            return None
        gap = self._fast.update(bar.close) - self._slow.update(bar.close)
        side = gap >= 0
        if gap != gap or side is self._side:
            return None
        self._side = side
        return reach(self.quantity if side else -self.quantity, bar.symbol, self.name, portfolio)


@plugin
class Count:
    """Write into the file *path* how many bars of *timeframe*, or of any length, strategies were shown."""

    path: Path
    timeframe: str = ""

    def __post_init__(self) -> None:
        self._lengths = bar_lengths(self.timeframe)
        self._bars = 0

    @hookimpl
    def on_bar(self, bar: Bar) -> None:
        self._bars += not self.timeframe or bar.time - bar.start in self._lengths

    @hookimpl
    def shutdown(self) -> None:
        Path(self.path).write_text(str(self._bars), encoding="utf-8")
