"""Follow the trend by two moving averages."""

from __future__ import annotations

from decimal import Decimal

from nicegold import Bar, Order, Portfolio, bar_lengths, hookimpl, indicators, plugin, reach


@plugin
class MaCross:
    """Be *quantity* lots long once the mean of the last *fast* closes rises above that of the last *slow*.

    Once it falls below, be as much short, or flat without *allow_short*. Only a cross asks: it
    needs both means on the bar before too, and an order that was vetoed is not asked for again.
    Means closer than a billionth of the price are equal, which is no cross. *timeframe* picks
    the bars of one length; without it every bar of *instrument* counts.
    """

    instrument: str
    quantity: Decimal
    fast: int = 10
    slow: int = 30
    allow_short: bool = True
    timeframe: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not (self.quantity.is_finite() and self.quantity > 0):
            raise ValueError(f"quantity must be above 0: it is {self.quantity}")
        if not self.fast > 0:
            raise ValueError(f"fast must be above 0: it is {self.fast}")
        if not self.fast < self.slow:
            raise ValueError(f"fast must be below slow: fast is {self.fast}, slow is {self.slow}")
        self._lengths = bar_lengths(self.timeframe)
        self._fast_mean, self._slow_mean = indicators.Sma(self.fast), indicators.Sma(self.slow)
        #: +1 above, -1 below, 0 equal since both means are there, None before.
        self._side: int | None = None

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        if bar.symbol != self.instrument or (self.timeframe and bar.time - bar.start not in self._lengths):
            return None
        close, side = bar.close, self._side
        # NaN until both means are there, and NaN is on neither side.
        gap = self._fast_mean.update(close) - self._slow_mean.update(close)
        if side and gap * side > 0:
            return None
        return self._cross(gap, 1e-9 * close, portfolio)

    def _cross(self, gap: float, equal: float, portfolio: Portfolio) -> list[Order] | None:
        before = self._side
        if abs(gap) > equal:
            self._side = 1 if gap > 0 else -1
        elif before is None and gap == gap:
            self._side = 0
        if before is None or self._side == before:
            return None
        down = -self.quantity if self.allow_short else Decimal(0)
        target = self.quantity if self._side == 1 else down
        return reach(target, self.instrument, self.name, portfolio) or None
