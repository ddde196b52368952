"""A limit on what a day may cost."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from decimal import Decimal

from nicegold import DAY, SECOND, Instrument, Portfolio, hookimpl, plugin

_MINUTE = 60 * SECOND


@plugin
class DailyLoss:
    """Ask for a halt once equity is *limit* or more (account currency) below what it was when the day began.

    What it was is the last equity seen before, so a gap over the night counts; on the first day
    it is the first equity seen. The trading day is
    that of *instrument*, else of the run's first, and changes at its daily close. A halt stops
    new risk, not the orders that can only reduce, and it lasts: the next day does not lift it.
    """

    limit: Decimal
    instrument: str = ""

    def __post_init__(self) -> None:
        if not (self.limit.is_finite() and self.limit > 0):
            raise ValueError(f"limit must be account currency, above 0: it is {self.limit}")
        self._limit = float(self.limit)
        self._day_ends = 0
        self._began_with = self._last = float("nan")

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument]) -> None:
        symbol = self.instrument or next(iter(instruments))
        if symbol not in instruments:
            raise ValueError(
                f"instrument is {symbol}, which is not configured; there are {', '.join(instruments)}"
            )
        self._trading_day = instruments[symbol].sessions.trading_day

    @hookimpl
    def check_portfolio(self, portfolio: Portfolio) -> str | None:
        equity = portfolio.equity
        if portfolio.time >= self._day_ends:
            self._begin_day(portfolio.time, equity)
        self._last = equity
        if not self._began_with - equity < self._limit:  # written so that NaN asks
            lost, currency = self._began_with - equity, portfolio.currency
            return f"lost {lost:.2f} {currency} today, limit is {self.limit} {currency}"
        return None

    def _begin_day(self, time: int, equity: float) -> None:
        self._began_with = self._last if self._last == self._last else equity
        # Its end is looked for once, since we are asked on every tick.
        minutes = range(time - time % _MINUTE, time + 2 * DAY, _MINUTE)
        self._day_ends = minutes[bisect_right(minutes, self._trading_day(time), key=self._trading_day)]
