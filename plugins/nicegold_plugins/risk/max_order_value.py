"""A limit on the worth of one order, whatever the instrument."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite

from nicegold import NoRate, Order, Portfolio, hookimpl, plugin


@plugin
class MaxOrderValue:
    """Object to an order that is worth more than *limit* in account currency.

    It is worth its lots at the highest of the last price, its limit and its stop: a sell limit
    far below the market still fills at the market. Without a last price, or a rate to the account
    currency, nobody knows its worth, which is an objection. An order that can only reduce passes:
    it cannot fill more than we hold, and getting out must not take several orders.
    """

    limit: Decimal

    def __post_init__(self) -> None:
        if not (self.limit.is_finite() and self.limit > 0):
            raise ValueError(f"limit must be account currency, above 0: it is {self.limit}")

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        if order.reduce_only:
            return None
        last = portfolio.price(order.symbol)
        if not (isfinite(last) and last > 0):
            return f"the worth of {order.symbol} is not known: its last price is {last}"
        prices = (Decimal(repr(last)), order.price, order.stop_price)
        worst = max(price for price in prices if price is not None)
        try:
            value = portfolio.value(order.symbol, order.quantity, worst)
        except NoRate as error:
            return f"the worth of {order.symbol} is not known: {error}"
        if not value <= self.limit:  # written so that NaN objects
            return f"is worth {value:.2f} {portfolio.currency}, limit is {self.limit} {portfolio.currency}"
        return None
