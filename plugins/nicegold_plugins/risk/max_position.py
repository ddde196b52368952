"""A limit on what we hold."""

from __future__ import annotations

from decimal import Decimal

from nicegold import Order, Portfolio, hookimpl, plugin


@plugin
class MaxPosition:
    """Object to an order after which we could hold more than *limit* lots, long or short.

    Every working order on its side is taken to fill, and none on the other. With *instrument*
    only that one is limited, else each on its own. An order that can only bring the position
    nearer to flat passes, even above the limit.
    """

    limit: Decimal
    instrument: str = ""

    def __post_init__(self) -> None:
        if not (self.limit.is_finite() and self.limit >= 0):
            raise ValueError(f"limit must be lots, 0 or more: it is {self.limit}")

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        if order.reduce_only or self.instrument not in ("", order.symbol):
            return None
        after = portfolio.exposure_after(order)
        held = portfolio.position(order.symbol).quantity
        # Written so that NaN objects.
        if abs(after) <= self.limit or (after * held >= 0 and abs(after) < abs(held)):
            return None
        return f"would hold {after} lots of {order.symbol}, limit is {self.limit} lots"
