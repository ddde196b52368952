"""Prices and what was held of an instrument, folded into a bounded number of candles for a picture."""

from __future__ import annotations

from itertools import groupby

import msgspec

from nicegold import SECOND, Bar, Market

#: Candles are merged before there are more. Half as many are left, so a run ends with these or half.
MOST_CANDLES = 4096


class Candle(msgspec.Struct, frozen=True, array_like=True):
    """Prices from *start* until *time* (ns UTC), and the least and the most that was held meanwhile.

    What is held is the position's value as a part of equity, negative when short. *rate* is account
    currency for one of the price's; 0 while nobody knows it.
    """

    start: int
    time: int
    open: float
    high: float
    low: float
    close: float
    least: float = 0.0
    most: float = 0.0
    rate: float = 1.0


class _Open(msgspec.Struct):
    """A candle that still grows."""

    start: int
    time: int
    open: float
    high: float
    low: float
    close: float
    least: float
    most: float
    rate: float


class Candles:
    """The candles of one instrument. When there are *most* of them, each becomes twice as long."""

    def __init__(self, most: int = MOST_CANDLES) -> None:
        self._limit = most
        self._length = 0
        self._candles: list[_Open] = []
        self._end = 0
        self._held = 0.0
        self._rate = 0.0

    def add(self, market: Market) -> bool:
        """Fold *market* in; answers whether a candle began with it."""
        if isinstance(market, Bar):
            start, opened, high, low, close = market.start, market.open, market.high, market.low, market.close
        else:
            start = market.time
            opened = high = low = close = (market.bid + market.ask) / 2
        if start >= self._end:
            self._begin(market.time, start, opened, high, low, close)
            return True
        last = self._candles[-1]
        last.time, last.close = market.time, close
        if high > last.high:
            last.high = high
        if low < last.low:
            last.low = low
        return False

    def hold(self, held: float, rate: float) -> None:
        """*held* is the position's value as a part of equity from now on, at this *rate*."""
        last = self._candles[-1]
        last.least, last.most = min(last.least, held), max(last.most, held)
        self._held = held
        last.rate = self._rate = rate

    @property
    def candles(self) -> list[Candle]:
        """What they are by now, oldest first."""
        return [Candle(*msgspec.structs.astuple(each)) for each in self._candles]

    def _begin(self, time: int, start: int, opened: float, high: float, low: float, close: float) -> None:
        self._length = self._length or max(time - start, SECOND)
        held = self._held
        self._candles.append(_Open(start, time, opened, high, low, close, held, held, self._rate))
        while len(self._candles) >= self._limit:
            self._length *= 2
            by_length = groupby(self._candles, lambda each: each.start // self._length)
            self._candles = [_merged(list(each)) for _, each in by_length]
        self._end = (self._candles[-1].start // self._length + 1) * self._length


def _merged(candles: list[_Open]) -> _Open:
    first, last = candles[0], candles[-1]
    return _Open(
        first.start,
        last.time,
        first.open,
        max(each.high for each in candles),
        min(each.low for each in candles),
        last.close,
        min(each.least for each in candles),
        max(each.most for each in candles),
        last.rate,
    )
