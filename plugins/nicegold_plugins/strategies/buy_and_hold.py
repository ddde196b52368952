"""What every other strategy has to beat."""

from __future__ import annotations

from decimal import Decimal

from nicegold import Bar, Order, Portfolio, bar_lengths, hookimpl, plugin, reach


@plugin
class BuyAndHold:
    """Buy *quantity* lots on the first bar of *instrument* and keep them.

    It asks once: an order that was vetoed is not asked for again. *timeframe* waits for the first
    bar of that length.
    """

    instrument: str
    quantity: Decimal
    timeframe: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not (self.quantity.is_finite() and self.quantity > 0):
            raise ValueError(f"quantity must be above 0: it is {self.quantity}")
        self._lengths = bar_lengths(self.timeframe)
        self._asked = False

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        if (
            self._asked
            or bar.symbol != self.instrument
            or (self.timeframe and bar.time - bar.start not in self._lengths)
        ):
            return None
        self._asked = True
        return reach(self.quantity, self.instrument, self.name, portfolio) or None
