"""A limit on how far from the market an order may be priced."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite

from nicegold import Order, Portfolio, hookimpl, plugin


@plugin
class PriceCollar:
    """Object to a limit, stop or trail that is more than *percent* of the last price away from it.

    Without a last price everything is objected to, market orders too. An order that can only
    reduce passes: a stop or a target far away is better than none, and its limit can do no more
    harm than a market order, which passes.
    """

    percent: Decimal

    def __post_init__(self) -> None:
        if not (self.percent.is_finite() and self.percent > 0):
            raise ValueError(f"percent must be above 0: it is {self.percent}")

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        if order.reduce_only:
            return None
        last = portfolio.price(order.symbol)
        if not (isfinite(last) and last > 0):
            return f"there is no market to compare with: the last price of {order.symbol} is {last}"
        return self._objection(order, Decimal(repr(last)))

    def _objection(self, order: Order, last: Decimal) -> str | None:
        for name, price in (("price", order.price), ("stop_price", order.stop_price), ("trail", order.trail)):
            if price is None:
                continue
            # A trail is a distance by itself.
            away = (price if name == "trail" else abs(price - last)) * 100 / last
            if not away <= self.percent:  # written so that NaN objects
                return f"{name} {price} is {away:.2f} % from the last price {last}, limit is {self.percent} %"
        return None
