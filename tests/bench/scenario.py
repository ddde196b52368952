"""The work that is measured: a moving-average cross on one-minute bars of a random walk, at market.

The rules and the numbers are those on which other engines are measured: 10 units, a fee of 0.0001 of the
value, long or flat, no decision before bar 30; 100,000 bars give 3,959 fills and end on 991,592.03.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from decimal import Decimal

from nicegold import Account, Bar, Instrument, Order, Portfolio, Side, hookimpl, plugin

MINUTE = 60_000_000_000
START = 1_672_531_200_000_000_000
FAST, SLOW = 10, 30
TIE = 1e-4
SIZE = Decimal(10)
GOLD = Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"))
ACCOUNT = Account(cash=Decimal(1_000_000), currency="USD")


def rows(count: int, seed: int = 42) -> Iterator[tuple[int, float, float, float, float, float]]:
    """Start (ns), open, high, low, close, volume: a walk in whole ticks, each open the close before."""
    draw = random.Random(seed).random
    close = 200_000
    for number in range(count):
        opened = close
        close = opened + sum(int(draw() * 53) for _ in range(4)) - 104
        high = max(opened, close) + int(draw() * 20)
        low = min(opened, close) - int(draw() * 20)
        volume = 1000 + int(draw() * 500)
        yield START + MINUTE * number, opened / 100, high / 100, low / 100, close / 100, float(volume)


def bars(table: list[tuple[int, float, float, float, float, float]]) -> Iterator[Bar]:
    """The engine's own objects, made one at a time as a feed would."""
    for start, opened, high, low, close, volume in table:
        yield Bar("XAUUSD", start, start + MINUTE, opened, high, low, close, volume)


@plugin
class Cross:
    """Long while the fast average is above the slow one."""

    name: str = ""

    def __post_init__(self) -> None:
        self._closes: deque[float] = deque(maxlen=SLOW + 1)
        self._fast = self._slow = 0.0
        self._seen = 0
        self._is_long = False

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        closes, close = self._closes, bar.close
        closes.append(close)
        self._seen += 1
        self._fast += close
        self._slow += close
        if self._seen > FAST:
            self._fast -= closes[-1 - FAST]
        if self._seen > SLOW:
            self._slow -= closes[0]
            difference = self._fast / FAST - self._slow / SLOW
            if difference > TIE and not self._is_long:
                return self._turn(Side.BUY)
            if difference < -TIE and self._is_long:
                return self._turn(Side.SELL)
        return None

    def _turn(self, side: Side) -> list[Order]:
        self._is_long = side is Side.BUY
        return [Order(symbol="XAUUSD", side=side, quantity=SIZE)]


@plugin
class Limit:
    """Object to holding more than ten times the size."""

    limit: Decimal = SIZE * 10

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        after = portfolio.exposure_after(order)
        return None if abs(after) <= self.limit else f"would hold {after}"


@plugin
class Looker:
    """Look at each bar and want nothing."""

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        return None


def bare_loop(table: list[tuple[int, float, float, float, float, float]]) -> tuple[int, float]:
    """The same work with nothing around it: fills and final equity."""
    closes: list[float] = []
    cash, held, wanted, fills, close = 1_000_000.0, 0.0, 0, 0, 0.0
    fast = slow = 0.0
    for _, opened, _, _, close, _ in table:
        if wanted:
            cash -= wanted * opened * 10.0 + opened * 10.0 * 0.0001
            held += wanted * 10.0
            fills += 1
            wanted = 0
        closes.append(close)
        fast += close
        slow += close
        if len(closes) > FAST:
            fast -= closes[-1 - FAST]
        if len(closes) > SLOW:
            slow -= closes[-1 - SLOW]
            difference = fast / FAST - slow / SLOW
            if difference > TIE and not held:
                wanted = 1
            elif difference < -TIE and held:
                wanted = -1
    return fills, cash + held * close
