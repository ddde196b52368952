"""Follow a price that leaves the range it has kept."""

from __future__ import annotations

from decimal import Decimal

from nicegold import Bar, Order, Portfolio, bar_lengths, hookimpl, indicators, plugin, reach


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
        self._channel, self._exit_channel = indicators.Donchian(self.entry), indicators.Donchian(self.exit)
        #: +1 after we asked to be long, -1 short, 0 out; and whether nothing was missing when we last asked.
        self._side, self._is_there = 0, False

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        if bar.symbol != self.instrument or (self.timeframe and bar.time - bar.start not in self._lengths):
            return None
        # The channels are of the bars before this one.
        side = self._side_called_for(bar.close)
        self._channel.update(bar.high, bar.low)
        self._exit_channel.update(bar.high, bar.low)
        if side is None or (side == self._side and self._is_there):
            return None
        orders = reach(side * self.quantity, self.instrument, self.name, portfolio) or None
        self._side, self._is_there = side, orders is None
        return orders

    def _side_called_for(self, close: float) -> int | None:
        channel, exit_channel = self._channel.value, self._exit_channel.value
        if close > channel.upper:
            return 1
        if close < channel.lower:
            return -1 if self.allow_short else 0
        # Also when we asked to be out: that may have been vetoed.
        leaves_short = self._side <= 0 and close > exit_channel.upper
        leaves_long = self._side >= 0 and close < exit_channel.lower
        return 0 if leaves_short or leaves_long else None
