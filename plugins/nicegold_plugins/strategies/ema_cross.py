"""Follow the trend by two exponential averages, which forget gradually."""

from __future__ import annotations

from decimal import Decimal

from nicegold import Bar, Order, Portfolio, bar_lengths, hookimpl, plugin, reach


@plugin
class EmaCross:
    """Be *quantity* lots long once the *fast* exponential average of the closes rises above the *slow* one.

    Once it falls below, be as much short, or flat without *allow_short*. An average of n bars
    starts at the first close and then moves 2/(n+1) of the way to each; it counts after *slow*
    bars. Only a cross asks: an order that was vetoed is not asked for again. Averages closer than
    a billionth of the price are equal, which is no cross. *timeframe* picks the bars of one
    length; without it every bar of *instrument* counts.
    """

    instrument: str
    quantity: Decimal
    fast: int = 12
    slow: int = 26
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
        self._fast_step, self._slow_step = 2 / (self.fast + 1), 2 / (self.slow + 1)
        self._fast_mean = self._slow_mean = 0.0
        self._missing = self.slow
        #: +1 above, -1 below, 0 equal since they count, None before.
        self._side: int | None = None

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        if bar.symbol != self.instrument or (self.timeframe and bar.time - bar.start not in self._lengths):
            return None
        close = bar.close
        if self._missing:
            self._warm_up(close)
        self._fast_mean = fast = self._fast_mean + self._fast_step * (close - self._fast_mean)
        self._slow_mean = slow = self._slow_mean + self._slow_step * (close - self._slow_mean)
        gap, side = fast - slow, self._side
        if side and gap * side > 0:
            return None
        return self._cross(gap, 1e-9 * close, portfolio)

    def _warm_up(self, close: float) -> None:
        if self._missing == self.slow:
            self._fast_mean = self._slow_mean = close
        self._missing -= 1

    def _cross(self, gap: float, equal: float, portfolio: Portfolio) -> list[Order] | None:
        if self._missing:
            return None
        before = self._side
        if abs(gap) > equal:
            self._side = 1 if gap > 0 else -1
        elif before is None:
            self._side = 0
        if before is None or self._side == before:
            return None
        down = -self.quantity if self.allow_short else Decimal(0)
        target = self.quantity if self._side == 1 else down
        return reach(target, self.instrument, self.name, portfolio) or None
