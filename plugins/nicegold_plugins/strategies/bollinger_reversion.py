"""Trade against a price that has strayed far from its mean."""

from __future__ import annotations

from decimal import Decimal
from math import sqrt

from nicegold import Bar, Order, Portfolio, bar_lengths, hookimpl, plugin, reach


@plugin
class BollingerReversion:
    """Buy *quantity* lots on a close below the band around the mean of the last *window* closes.

    The band is *width* standard deviations (of the population, as Bollinger has it) wide on either
    side. On a close above it sell as much short, or nothing without *allow_short*. Leave on the
    first close at the mean or past it; an exit that was vetoed is asked for again on each bar past
    the mean. *timeframe* picks the bars of one length; without it every bar of *instrument* counts.
    """

    instrument: str
    quantity: Decimal
    window: int = 20
    width: float = 2.0
    allow_short: bool = True
    timeframe: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not (self.quantity.is_finite() and self.quantity > 0):
            raise ValueError(f"quantity must be above 0: it is {self.quantity}")
        if not self.window > 1:
            raise ValueError(f"window must be above 1: it is {self.window}")
        if not self.width > 0:
            raise ValueError(f"width must be above 0: it is {self.width}")
        self._lengths = bar_lengths(self.timeframe)
        # A ring of the last closes. Whatever contains a NaN is a NaN, so a mean that lacks closes is too.
        self._closes = [float("nan")] * self.window
        self._next = 0
        # Sums of what the closes are above _base and of its square: small numbers, so little rounding.
        self._base = self._sum = self._squares = float("nan")
        #: +1 after we asked to be long, -1 short, 0 once we are out.
        self._side = 0

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        if bar.symbol != self.instrument or (self.timeframe and bar.time - bar.start not in self._lengths):
            return None
        above, band = self._take(bar.close)
        equal = 1e-9 * bar.close
        if above < -band - equal:
            side = 1
        elif above > band + equal and self.allow_short:
            side = -1
        elif self._side and above * self._side >= -equal:
            side = 0
        else:
            return None
        orders = reach(side * self.quantity, self.instrument, self.name, portfolio) or None
        # While an exit finds something to close it stays to be asked for: it may be vetoed.
        self._side = self._side if orders and not side else side
        return orders

    def _take(self, close: float) -> tuple[float, float]:
        """How far *close* is above the mean that includes it, and the half width of the band."""
        closes, at, window = self._closes, self._next, self.window
        new, old = close - self._base, closes[at] - self._base
        self._sum += new - old
        self._squares += new * new - old * old
        closes[at] = close
        self._next = at + 1
        if self._next == window:
            self._add_up(close)
        mean = self._sum / window
        variance = self._squares / window - mean * mean
        # Rounding can put it below zero.
        return close - self._base - mean, self.width * sqrt(variance) if variance > 0 else 0.0

    def _add_up(self, base: float) -> None:
        """Once a round, so that rounding cannot drift."""
        self._next, self._base = 0, base
        self._sum = sum(close - base for close in self._closes)
        self._squares = sum((close - base) ** 2 for close in self._closes)
