"""A limit on the age of the price that a decision rests on."""

from __future__ import annotations

from nicegold import SECOND, Order, Portfolio, hookimpl, plugin


@plugin
class StalePrice:
    """Object to an order when the last price of its instrument is more than *seconds* old, or there is none.

    Its age is by the market's time, which any instrument's price moves on. An order that can only
    reduce passes: getting out blind is better than not getting out.
    """

    seconds: int

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValueError(f"seconds must be above 0: it is {self.seconds}")

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        if order.reduce_only:
            return None
        priced_at, price = portfolio.priced_at(order.symbol), portfolio.price(order.symbol)
        if not (priced_at and price > 0):  # written so that NaN objects
            return f"there is no price of {order.symbol} yet"
        age = portfolio.time - priced_at
        if not age <= self.seconds * SECOND:
            return f"the price of {order.symbol} is {age / SECOND:g} s old, limit is {self.seconds} s"
        return None
