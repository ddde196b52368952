"""The work that is measured: a moving-average cross on one-minute bars of a random walk, at market.

The rules and the numbers are those on which other engines are measured: 10 units, a fee of 0.0001 of the
value, long or flat, no decision before bar 30. Their fills and final equity are in EXPECTED.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TypeAlias

from nicegold import Account, Bar, Instrument, Order, Portfolio, Side, hookimpl, indicators, plugin

#: Start (ns UTC), open, high, low, close, volume.
Row: TypeAlias = tuple[int, float, float, float, float, float]

MINUTE = 60_000_000_000
START = 1_672_531_200_000_000_000
FAST, SLOW = 10, 30
TIE = 1e-4
SIZE = Decimal(10)
GOLD = Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"))
ACCOUNT = Account(cash=Decimal(1_000_000), currency="USD")
FEE = Decimal("0.0001")

#: Fills and final equity by number of bars and whether there are gaps, of every engine that fills at the
#: next open; published with the peers' scripts.
EXPECTED = {
    (20_000, False): (783, 998_153.93),
    (20_000, True): (781, 998_483.70),
    (100_000, False): (3_959, 991_592.03),
    (500_000, False): (19_446, 960_734.94),
}


def rows(count: int, seed: int = 42, *, gap: bool = False) -> Iterator[Row]:
    """A walk in whole ticks, each open the close before; with *gap*, up to ten ticks away from it.

    Without gaps a fill at the close that signalled and one at the next open have the same price, so that
    all engines must agree; with them, whoever looks ahead is seen.
    """
    draw = random.Random(seed).random
    close = 200_000
    for number in range(count):
        opened = close + int(draw() * 21) - 10 if gap else close
        close = max(opened + sum(int(draw() * 53) for _ in range(4)) - 104, 20_000)
        high = max(opened, close) + int(draw() * 20)
        low = min(opened, close) - int(draw() * 20)
        volume = 1000 + int(draw() * 500)
        yield START + MINUTE * number, opened / 100, high / 100, low / 100, close / 100, float(volume)


def bars(table: Iterable[Row]) -> Iterator[Bar]:
    """The engine's own objects, made one at a time as a feed would."""
    for start, opened, high, low, close, volume in table:
        yield Bar("XAUUSD", start, start + MINUTE, opened, high, low, close, volume)


@plugin
class Cross:
    """Long while the fast average is above the slow one."""

    name: str = ""

    def __post_init__(self) -> None:
        self._fast, self._slow = indicators.Sma(FAST), indicators.Sma(SLOW)
        self._seen = 0
        self._is_long = False

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        difference = self._fast.update(bar.close) - self._slow.update(bar.close)
        self._seen = seen = self._seen + 1
        if seen > SLOW:
            if difference > TIE:
                if not self._is_long:
                    return self._turn(Side.BUY)
            elif difference < -TIE and self._is_long:
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


def bare_loop(opens: Sequence[float], closes: Sequence[float]) -> tuple[int, float]:
    """The same work with nothing around it: fills and final equity."""
    cash, held, wanted, fills = 1_000_000.0, 0.0, 0, 0
    fast = slow = 0.0
    for number, close in enumerate(closes):
        if wanted:
            price = opens[number]
            cash -= wanted * price * 10.0 + price * 10.0 * 0.0001
            held += wanted * 10.0
            fills += 1
            wanted = 0
        fast += close
        slow += close
        if number >= FAST:
            fast -= closes[number - FAST]
        if number >= SLOW:
            slow -= closes[number - SLOW]
            difference = fast / FAST - slow / SLOW
            if difference > TIE:
                if not held:
                    wanted = 1
            elif difference < -TIE and held:
                wanted = -1
    return fills, cash + held * closes[-1]
