"""The one execution simulator, for backtests and paper trading: a venue inside this process, and its costs.

Its rules are the table in docs/paper.md; each has a test. They are `nicegold.Venue`'s, to which the
settings here say what trading costs. To change a cost, subclass `Paper`, override `slippage_of`,
`commission_of` or `latency_of`, and register it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from nicegold import (
    Accepted,
    Account,
    Bar,
    Cancel,
    Execution,
    Instrument,
    Market,
    Order,
    Placed,
    Rejected,
    Replace,
    Venue,
    hookimpl,
    plugin,
)

_MILLISECOND = 1_000_000
_ZERO = Decimal(0)
Change: TypeAlias = Cancel | Replace


@plugin
class Paper:
    """Fill orders as a careful venue would.

    *commission* is account currency a lot a side, *commission_rate* a part of the value.
    *slippage* is price against us on market and stop orders, *slippage_of_range* a part of the
    bar's range on top. *latency_ms* is from us to the venue. *volume_share* caps fills at that
    part of each bar's volume, or of each quote's size; without it volume is not looked at.
    """

    commission: Decimal = _ZERO
    commission_rate: Decimal = _ZERO
    slippage: Decimal = _ZERO
    slippage_of_range: Decimal = _ZERO
    latency_ms: int = 0
    volume_share: Decimal | None = None
    name: str = "paper"

    def __post_init__(self) -> None:
        for setting in ("commission_rate", "slippage", "slippage_of_range", "latency_ms"):
            value = Decimal(getattr(self, setting))
            if not value.is_finite() or value < 0:
                raise ValueError(f"{setting} must not be negative: it is {value}")
        if not Decimal(self.commission).is_finite():
            raise ValueError(f"commission must be an amount of money: it is {self.commission}")
        share = self.volume_share
        if share is not None and (not share.is_finite() or not 0 < share <= 1):
            raise ValueError(f"volume_share must be above 0 and at most 1: it is {share}")

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument], account: Account) -> None:
        self._instruments = instruments
        self.venue = Venue(self.name, self, instruments, account, self.volume_share)

    @hookimpl
    def rests(self) -> bool:
        """Nothing is due by time, and no price of before is asked for."""
        is_due = self.latency_ms or type(self).latency_of is not Paper.latency_of
        is_financed = any(each.swap_long or each.swap_short for each in self._instruments.values())
        return not (self.venue.needs_prices or is_due or is_financed)

    # What costs what.

    def slippage_of(self, order: Order, market: Market) -> Decimal:
        """Price against us on a market or stop order."""
        if isinstance(market, Bar) and self.slippage_of_range:
            span = Decimal(repr(market.high)) - Decimal(repr(market.low))
            return self.slippage + self.slippage_of_range * span
        return self.slippage

    def commission_of(self, order: Order, quantity: Decimal, price: Decimal) -> Decimal:
        """Account currency for *quantity* lots at *price*."""
        commission = quantity * self.commission if self.commission else _ZERO
        if self.commission_rate:
            commission += self.venue.account.value(order.symbol, quantity, price) * self.commission_rate
        return commission

    def latency_of(self, request: Order | Change) -> int:
        """Nanoseconds from us to the venue."""
        return self.latency_ms * _MILLISECOND

    # What we are asked, and what the market does.

    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        return self.venue.place(order)

    @hookimpl
    def cancel_order(self, cancel: Cancel, order: Order) -> Placed:
        return self.venue.note(cancel, order)

    @hookimpl
    def replace_order(self, replace: Replace, order: Order) -> Placed:
        return self.venue.note(replace, order)

    @hookimpl
    def match_orders(self, market: Market) -> list[Execution] | None:
        return self.venue.meet(market) or None
