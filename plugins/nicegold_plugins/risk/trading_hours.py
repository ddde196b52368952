"""A limit on when we trade."""

from __future__ import annotations

from datetime import UTC, datetime

from nicegold import SECOND, Order, Portfolio, Sessions, hookimpl, plugin


@plugin
class TradingHours:
    """Object to an order outside of *sessions*, or of its instrument's own where that is empty.

    They are written as an instrument's are: "gold", "fx", or "Mon 08:00 - Fri 16:00
    Europe/London, break 12:00 - 13:00". The time is the market's. An order that can only reduce
    passes: hours are for taking risk, not for giving it up.
    """

    sessions: str = ""

    def __post_init__(self) -> None:
        self._own = Sessions.parse(self.sessions) if self.sessions else None

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        if order.reduce_only:
            return None
        hours = self._own or portfolio.instruments[order.symbol].sessions
        if hours.is_open(portfolio.time):
            return None
        now = datetime.fromtimestamp(portfolio.time // SECOND, UTC)
        whose = f'the hours "{self.sessions}"' if self.sessions else f"the hours of {order.symbol}"
        return f"{now:%a %Y-%m-%d %H:%M:%S} UTC is outside of {whose}"
