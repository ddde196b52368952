"""What a strategy decides, bar by bar, with every order filled at once at the close."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol

from nicegold import Bar, Fill, Order, Portfolio
from nicegold.testing import ACCOUNT, GOLD, bar


class Strategy(Protocol):
    name: str

    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None: ...


def portfolio() -> Portfolio:
    return Portfolio(ACCOUNT, {"XAUUSD": GOLD})


def closes(*prices: float) -> list[Bar]:
    return [bar(price, number=number) for number, price in enumerate(prices)]


def held_after_each(strategy: Strategy, bars: Iterable[Bar], books: Portfolio | None = None) -> list[Decimal]:
    """The lots that *strategy* holds in *books* after each of *bars*."""
    books, held = books or portfolio(), []
    for seen in bars:
        books.apply(seen)
        for number, order in enumerate(strategy.on_bar(seen, books) or []):
            books.apply(filled(order, seen, f"{seen.time}-{number}-{order.side}", strategy.name))
        held.append(books.position("XAUUSD", strategy.name).quantity)
    return held


def filled(order: Order, seen: Bar, trade_id: str, strategy: str) -> Fill:
    return Fill(
        order_id=trade_id,
        trade_id=trade_id,
        time=seen.time,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        price=GOLD.to_price(seen.close),
        strategy=strategy,
    )
