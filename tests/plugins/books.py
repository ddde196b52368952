"""Portfolios in a given state, for risk checks to look at."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from nicegold import Fill, Order, OrderType, Portfolio, Side
from nicegold.answers import Reply
from nicegold.host import Host
from nicegold.testing import ACCOUNT, GOLD, START, bar, market_order, unwatched


def books(*, held: str = "0", price: float | None = 2000.0) -> Portfolio:
    """A portfolio that holds *held* lots of gold, bought at 2000, while the last price is *price*."""
    portfolio = Portfolio(ACCOUNT, {"XAUUSD": GOLD})
    if Decimal(held):
        portfolio.apply(fill(held))
    if price is not None:
        portfolio.apply(bar(price))
    return portfolio


def fill(quantity: str | Decimal, trade_id: str = "t-1", order_id: str = "held-1") -> Fill:
    """A fill of *quantity* signed lots at 2000."""
    signed = Decimal(quantity)
    return Fill(
        order_id=order_id,
        trade_id=trade_id,
        time=START,
        symbol="XAUUSD",
        side=Side.BUY if signed > 0 else Side.SELL,
        quantity=abs(signed),
        price=Decimal(2000),
    )


def limit_order(price: str, side: Side = Side.BUY, quantity: str = "0.10", **terms: Any) -> Order:
    return market_order(side, quantity, order_type=OrderType.LIMIT, price=Decimal(price), **terms)


def stop_order(stop_price: str, side: Side = Side.BUY, quantity: str = "0.10", **terms: Any) -> Order:
    return market_order(side, quantity, order_type=OrderType.STOP, stop_price=Decimal(stop_price), **terms)


def reducing(order: Order) -> Order:
    return replace(order, reduce_only=True)


def replies_of_two(make: Any, hook: str, *arguments: object) -> list[Reply]:
    """What two plugins with equal settings answer, side by side in one host."""
    return list(Host(unwatched, {"one": make(), "other": make()}).call(hook)(*arguments))
