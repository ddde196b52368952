"""Follow a price that leaves the range it has kept."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from nicegold import Bar, Order, Portfolio, bar_lengths, hookimpl, plugin, reach


@plugin
class DonchianBreakout:
    """Go *quantity* lots long on a close above the highest high of the *entry* bars before it.

    On a close below their lowest low go as much short, or flat without *allow_short*. Leave a
    long below the lowest low of the *exit* bars before, a short above their highest high. Each
    such close asks for what is missing, so an order that was vetoed is asked for again on the
    next. *timeframe* picks the bars of one length; without it every bar of *instrument* counts.
    """

    instrument: str
    quantity: Decimal
    entry: int = 20
    exit: int = 10
    allow_short: bool = True
    timeframe: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not (self.quantity.is_finite() and self.quantity > 0):
            raise ValueError(f"quantity must be above 0: it is {self.quantity}")
        if not self.exit > 0:
            raise ValueError(f"exit must be above 0: it is {self.exit}")
        if not self.exit <= self.entry:
            raise ValueError(f"exit must not be above entry: exit is {self.exit}, entry is {self.entry}")
        self._lengths = bar_lengths(self.timeframe)
        self._highs, self._lows = deque[float](maxlen=self.entry), deque[float](maxlen=self.entry)
        self._exit_highs, self._exit_lows = deque[float](maxlen=self.exit), deque[float](maxlen=self.exit)

        #: +1 after we asked to be long, -1 short, 0 out; and whether nothing was missing when we last asked.
        self._side, self._is_there = 0, False

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        if bar.symbol != self.instrument or (self.timeframe and bar.time - bar.start not in self._lengths):
            return None
        side = self._side_called_for(bar.close) if len(self._highs) == self.entry else None
        self._highs.append(bar.high)
        self._lows.append(bar.low)
        self._exit_highs.append(bar.high)
        self._exit_lows.append(bar.low)
        if side is None or (side == self._side and self._is_there):
            return None
        orders = reach(side * self.quantity, self.instrument, self.name, portfolio) or None
        self._side, self._is_there = side, orders is None
        return orders

    def _side_called_for(self, close: float) -> int | None:
        # Few closes leave the bar before them, and only those can leave a channel.
        if close > self._highs[-1] and close > max(self._exit_highs):
            if close > max(self._highs):
                return 1
            return 0 if self._side <= 0 else None
        if close < self._lows[-1] and close < min(self._exit_lows):
            if close < min(self._lows):
                return -1 if self.allow_short else 0
            return 0 if self._side >= 0 else None
        return None
