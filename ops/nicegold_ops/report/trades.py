"""Round trips: each closing fill against the oldest lots that it closes, a strategy at a time.

What the engine closes after a halt closes the oldest lots of any strategy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TypeAlias

import msgspec

from nicegold import Fill, Instrument, Side
from nicegold.host import ENGINE


class Trade(msgspec.Struct, frozen=True):
    """A part of *strategy*'s position from its entry to its exit.

    Times are ns UTC, *quantity* lots. *profit*, at the exit's rate and before costs, and *costs*,
    the commission of both sides, are account currency.
    """

    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    entry_time: int
    entry_price: Decimal
    exit_time: int
    exit_price: Decimal
    profit: Decimal
    costs: Decimal


class _Lot(msgspec.Struct):
    fill: Fill
    left: Decimal


#: Open lots by strategy and symbol, oldest first.
_Books: TypeAlias = dict[tuple[str, str], deque[_Lot]]


def trades_of(fills: Iterable[Fill], instruments: Mapping[str, Instrument]) -> list[Trade]:
    """The closed round trips of *fills*, in the order of their exits."""
    books: _Books = {}
    trades: list[Trade] = []
    for fill in fills:
        left = fill.quantity
        while left and (lots := _to_close(fill, books)):
            closed = min(left, lots[0].left)
            trades.append(_trade(lots[0].fill, fill, closed, instruments[fill.symbol].lot_size))
            left -= closed
            lots[0].left -= closed
            if not lots[0].left:
                lots.popleft()
        if left:
            books.setdefault((fill.strategy, fill.symbol), deque()).append(_Lot(fill, left))
    return trades


def _to_close(fill: Fill, books: _Books) -> deque[_Lot] | None:
    """The lots of which *fill* closes the first, if there are any."""
    if fill.strategy != ENGINE:
        lots = books.get((fill.strategy, fill.symbol))
        return lots if lots and lots[0].fill.side is not fill.side else None
    against = [
        lots
        for (_, symbol), lots in books.items()
        if symbol == fill.symbol and lots and lots[0].fill.side is not fill.side
    ]
    return min(against, key=lambda lots: lots[0].fill.time, default=None)


def _trade(entry: Fill, exit: Fill, quantity: Decimal, lot_size: Decimal) -> Trade:
    profit = (exit.price - entry.price) * quantity * lot_size * entry.side.sign * exit.rate
    return Trade(
        strategy=entry.strategy,
        symbol=exit.symbol,
        side=entry.side,
        quantity=quantity,
        entry_time=entry.time,
        entry_price=entry.price,
        exit_time=exit.time,
        exit_price=exit.price,
        profit=profit,
        costs=_share(entry, quantity) + _share(exit, quantity),
    )


def _share(fill: Fill, quantity: Decimal) -> Decimal:
    return fill.commission if quantity == fill.quantity else fill.commission * quantity / fill.quantity
