"""Trade against a price that has strayed far from its mean."""

from __future__ import annotations

from decimal import Decimal

from nicegold import Bar, Order, Portfolio, bar_lengths, hookimpl, indicators, plugin, reach


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
        self._bands = indicators.Bollinger(self.window, self.width)
        #: +1 after we asked to be long, -1 short, 0 once we are out.
        self._side = 0

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        if bar.symbol != self.instrument or (self.timeframe and bar.time - bar.start not in self._lengths):
            return None
        close = bar.close
        # NaN until there are enough closes, and nothing is beyond NaN.
        bands, equal = self._bands.update(close), 1e-9 * close
        if close < bands.lower - equal:
            side = 1
        elif close > bands.upper + equal and self.allow_short:
            side = -1
        elif self._side and (close - bands.middle) * self._side >= -equal:
            side = 0
        else:
            return None
        orders = reach(side * self.quantity, self.instrument, self.name, portfolio) or None
        # While an exit finds something to close it stays to be asked for: it may be vetoed.
        self._side = self._side if orders and not side else side
        return orders
