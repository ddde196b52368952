"""What the account was worth after each market event, worked out for thousands of them at once.

Between two fills only prices move, so it is enough to remember the events, and the positions where
they changed: a tenth of what asking the portfolio after each event costs.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

import numpy as np

from nicegold import Bar, Market, Portfolio
from nicegold_ops.curve import Curve

Series: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
#: From which event on, the cash, and the units and cost of each open position.
Stake: TypeAlias = tuple[int, float, dict[str, tuple[float, float]]]

#: Events that are valued together.
_CHUNK = 4096


class Valuation:
    """Samples the equity of *portfolio* into *curve*. Give it each market event that was handled."""

    def __init__(self, portfolio: Portfolio, curve: Curve) -> None:
        self._portfolio = portfolio
        self._curve = curve
        self._events: list[Market] = []
        self._keep = self._events.append
        self._time = 0
        prices = {symbol: portfolio.price(symbol) for symbol in portfolio.instruments}
        self._prices = {symbol: price for symbol, price in prices.items() if price == price}
        self._changes = portfolio.changes
        self._stakes: list[Stake] = [(0, *portfolio.stakes)]

    def take(self, market: Market) -> None:
        """Value the account as it is now, after *market*."""
        if self._portfolio.changes != self._changes:
            self._note_stake()
        self._keep(market)
        if len(self._events) >= _CHUNK:
            self.settle()

    def settle(self) -> None:
        """Work in what waits; call it before reading the curve."""
        if not self._events:
            return
        equity = np.empty(len(self._events))
        held = np.zeros(len(self._events), dtype=bool)
        prices = _Prices(self._events, self._prices)
        for (begin, cash, stakes), (end, *_) in pairwise([*self._stakes, (len(self._events), 0.0, {})]):
            equity[begin:end] = self._worth(cash, stakes, prices, slice(begin, end))
            held[begin:end] = bool(stakes)
        self._curve.extend(self._times(), equity, held)
        self._prices |= prices.last()
        self._stakes = [(0, *self._stakes[-1][1:])]
        self._events.clear()

    def _note_stake(self) -> None:
        self._changes = self._portfolio.changes
        self._stakes.append((len(self._events), *self._portfolio.stakes))
        # A position can be older than the first price of its symbol: until then it is worth what it cost.
        for symbol in self._stakes[-1][2]:
            if symbol not in self._prices:
                self._prices[symbol] = self._portfolio.price(symbol)

    def _times(self) -> list[int]:
        """When each event was known; a feed that lags does not turn time back."""
        times = np.array([self._time, *[market.time for market in self._events]])
        found: list[int] = np.maximum.accumulate(times)[1:].tolist()
        self._time = found[-1]
        return found

    def _worth(
        self, cash: float, stakes: dict[str, tuple[float, float]], prices: _Prices, when: slice
    ) -> Series | float:
        worth: Series | float = cash
        for symbol, (units, cost) in stakes.items():
            profit = prices.of(symbol)[when] * units - cost
            currency = self._portfolio.instruments[symbol].currency
            if currency != self._portfolio.currency:
                profit = profit * self._rate(currency, prices)[when]
            worth = worth + profit
        return worth

    def _rate(self, currency: str, prices: _Prices) -> Series:
        """As `Portfolio.rate`, at each event."""
        home = self._portfolio.currency
        straight = prices.of(currency + home)
        return np.where(np.isnan(straight), 1.0 / prices.of(home + currency), straight)


class _Prices:
    """The price of any symbol at each of *events*; *before* has those from before the first."""

    def __init__(self, events: list[Market], before: dict[str, float]) -> None:
        self._events = events
        self._before = before
        self._symbols = {market.symbol for market in events}
        self._series: dict[str, Series] = {}

    def of(self, symbol: str) -> Series:
        """The last price of *symbol* at each event."""
        if symbol not in self._series:
            self._series[symbol] = self._fill(symbol)
        return self._series[symbol]

    def last(self) -> dict[str, float]:
        """The last price of each symbol that had an event."""
        found: dict[str, float] = {}
        wanted = set(self._symbols)
        for market in reversed(self._events):
            if market.symbol in wanted:
                found[market.symbol] = _price_of(market)
                wanted.discard(market.symbol)
                if not wanted:
                    break
        return found

    def _fill(self, symbol: str) -> Series:
        if self._symbols == {symbol}:
            return np.array([_price_of(market) for market in self._events])
        known = [
            (number, _price_of(each)) for number, each in enumerate(self._events) if each.symbol == symbol
        ]
        # Each price holds until the next one: `places` counts how many had come by each event.
        places = np.zeros(len(self._events), dtype=np.intp)
        places[[number for number, _ in known]] = 1
        values = np.array([self._before.get(symbol, np.nan), *(price for _, price in known)])
        filled: Series = values[np.cumsum(places)]
        return filled


def _price_of(market: Market) -> float:
    return market.close if isinstance(market, Bar) else (market.bid + market.ask) / 2
