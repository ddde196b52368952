"""A limit on how many orders we ask for, for what a loop can do."""

from __future__ import annotations

from collections import deque

from nicegold import SECOND, Order, Portfolio, hookimpl, plugin


@plugin
class MessageRate:
    """Object to an order when *orders* were asked for in the *seconds* before it.

    Seconds are of the market's time, so that a backtest is limited as live trading is. Every
    order that is asked for counts: new and replaced, objected to or not, also those that can only
    reduce, so a strategy that does not stop asking stays stopped. The stop and the target of a
    new bracket count but pass, since an entry without its stop is worse than one order too many.
    Cancels neither count nor are they objected to.
    """

    orders: int
    seconds: int = 1

    def __post_init__(self) -> None:
        for setting in ("orders", "seconds"):
            if not getattr(self, setting) > 0:
                raise ValueError(f"{setting} must be above 0: it is {getattr(self, setting)}")
        self._asked = deque[int](maxlen=self.orders)

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        asked, now = self._asked, portfolio.time
        is_full = len(asked) == self.orders and now - asked[0] < self.seconds * SECOND
        asked.append(now)
        is_exit = order.reduce_only and order.parent and portfolio.order(order.id) is None
        if not is_full or is_exit:
            return None
        return f"more than {self.orders} orders in {self.seconds} s, limit is {self.orders} orders"
