"""A limit on the size of one order, for what a slip of the finger can do."""

from __future__ import annotations

from decimal import Decimal

from nicegold import Order, hookimpl, plugin


@plugin
class MaxOrderQuantity:
    """Object to an order of more than *limit* lots.

    With *instrument* only its orders are limited. An order that can only reduce passes: it cannot
    fill more than we hold, and getting out must not take several orders.
    """

    limit: Decimal
    instrument: str = ""

    def __post_init__(self) -> None:
        if not (self.limit.is_finite() and self.limit > 0):
            raise ValueError(f"limit must be lots, above 0: it is {self.limit}")

    @hookimpl
    def check_order(self, order: Order) -> str | None:
        if order.reduce_only or self.instrument not in ("", order.symbol):
            return None
        if not order.quantity <= self.limit:  # written so that NaN objects
            return f"orders {order.quantity} lots of {order.symbol}, limit is {self.limit} lots"
        return None
