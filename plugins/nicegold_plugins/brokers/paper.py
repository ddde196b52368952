"""A venue inside this process: the one execution simulator, for backtests and paper trading.

Its rules are the table in docs/paper.md; each has a test. At what price an order fills is decided
by `nicegold.match`; what is here is the venue's book, its costs and its calendar. To change a
cost, subclass `Paper`, override `slippage_of`, `commission_of` or `latency_of`, and register it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from nicegold import (
    AT_OPEN,
    Accepted,
    Account,
    Bar,
    Cancel,
    Canceled,
    CancelRejected,
    Execution,
    Expired,
    Fill,
    Instrument,
    Market,
    Match,
    Order,
    OrderType,
    Placed,
    Portfolio,
    Rejected,
    Replace,
    Replaced,
    Swap,
    TimeInForce,
    Touch,
    Triggered,
    hookimpl,
    match,
    plugin,
    touch,
)

_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_MILLISECOND = 1_000_000
_ZERO = Decimal(0)
Change: TypeAlias = Cancel | Replace


@dataclass(eq=False, slots=True)
class Resting:
    """An order in the venue's book."""

    order: Order
    works_from: int
    remaining: Decimal
    asleep: bool
    #: Began to work inside the bar in hand.
    inside: bool = False
    triggered: bool = False
    #: The best price that a trailing stop has met.
    best: Decimal | None = None
    #: Has met the market in hand, so an immediate order has had its chance.
    met: bool = False


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
    _book: dict[str, Resting] = field(init=False, default_factory=dict)
    _changes: list[tuple[int, Change]] = field(init=False, default_factory=list)
    _days: dict[str, int] = field(init=False, default_factory=dict)
    _accepted: int = field(init=False, default=0)
    _traded: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        for setting in ("commission_rate", "slippage", "slippage_of_range", "latency_ms"):
            if not getattr(self, setting) >= 0:
                raise ValueError(f"{setting} must not be negative: it is {getattr(self, setting)}")
        if self.volume_share is not None and not 0 < self.volume_share <= 1:
            raise ValueError(f"volume_share must be above 0 and at most 1: it is {self.volume_share}")

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument], account: Account) -> None:
        self._instruments = instruments
        #: The venue's own books: the same fold, over what the venue did.
        self._account = Portfolio(account, instruments)
        needs_prices = (i.margin_rate or i.currency != account.currency for i in instruments.values())
        self._marks = any(needs_prices)
        self._pays_swap = any(i.swap_long or i.swap_short for i in instruments.values())

    # What costs what.

    def slippage_of(self, order: Order, market: Market) -> Decimal:
        """Price against us on a market or stop order."""
        if isinstance(market, Bar) and self.slippage_of_range:
            return self.slippage + self.slippage_of_range * Decimal(repr(market.high - market.low))
        return self.slippage

    def commission_of(self, order: Order, quantity: Decimal, price: Decimal) -> Decimal:
        """Account currency for *quantity* lots at *price*."""
        value = self._account.value(order.symbol, quantity, price) if self.commission_rate else _ZERO
        return quantity * self.commission + value * self.commission_rate

    def latency_of(self, order: Order | Change) -> int:
        """Nanoseconds from us to the venue."""
        return self.latency_ms * _MILLISECOND

    # What we are asked.

    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        missing = self._missing_margin(order)
        if missing is not None:
            return Rejected(order_id=order.id, time=order.time, reason=missing)
        self._accepted += 1
        self._book[order.id] = Resting(
            order, order.time + self.latency_of(order), order.quantity, asleep=bool(order.parent)
        )
        return Accepted(
            order_id=order.id, time=order.time, venue_order_id=f"{self.name}-{self._accepted}"
        )

    @hookimpl
    def cancel_order(self, cancel: Cancel) -> Placed:
        self._changes.append((cancel.time + self.latency_of(cancel), cancel))
        return Placed(order_id=cancel.order_id, time=cancel.time, broker=self.name)

    @hookimpl
    def replace_order(self, replace: Replace) -> Placed:
        self._changes.append((replace.time + self.latency_of(replace), replace))
        return Placed(order_id=replace.order_id, time=replace.time, broker=self.name)

    # What the market does.

    @hookimpl
    def match_orders(self, market: Market) -> list[Execution] | None:
        if self._marks:
            self._account.apply(market)
        if not (self._book or self._changes or self._pays_swap):
            return None
        start = market.start if isinstance(market, Bar) else market.time
        executions: list[Execution] = []
        if self._pays_swap:
            executions += self._swaps(market.symbol, start)
        if self._changes:
            executions += self._apply_changes(start)
        if self._book:
            executions += self._expire(market.symbol, start)
            executions += self._meet(market, start)
        return executions or None

    def _meet(self, market: Market, start: int) -> Iterable[Execution]:
        """Fill what *market* fills, one order after another, since each fill may wake or end others."""
        left: dict[bool, Decimal | None] = {}
        met: dict[bool, Touch] = {}
        while True:
            found = self._next(market, start, met, left)
            if found is None:
                break
            resting, hit = found
            if hit.price is None:
                resting.triggered = resting.inside = True
                yield Triggered(order_id=resting.order.id, time=market.time)
            else:
                yield from self._fill(resting, hit, hit.price, market, start, left)
        yield from self._end_of(market, met)

    def _next(
        self, market: Market, start: int, met: dict[bool, Touch], left: dict[bool, Decimal | None]
    ) -> tuple[Resting, Match] | None:
        """The order that fills first of all that can."""
        first: tuple[Resting, Match] | None = None
        for resting in self._book.values():
            order = resting.order
            if order.symbol != market.symbol or resting.asleep or resting.works_from > start:
                continue
            resting.met = True
            buys = order.side.sign > 0
            if left.setdefault(buys, self._volume(market, buys)) == _ZERO or not resting.remaining:
                continue
            if buys not in met:
                met[buys] = touch(market, order.side, self._instruments[order.symbol])
            hit = match(
                order, met[buys], inside=resting.inside, triggered=resting.triggered, best=resting.best
            )
            if hit is not None and (first is None or hit.phase < first[1].phase):
                first = resting, hit
        return first

    def _fill(
        self,
        resting: Resting,
        hit: Match,
        mirrored: Decimal,
        market: Market,
        start: int,
        left: dict[bool, Decimal | None],
    ) -> Iterable[Execution]:
        order = resting.order
        buys = order.side.sign > 0
        quantity = self._quantity(resting, left[buys])
        if quantity == _ZERO:
            yield self._drop(resting, market.time, "nothing can fill")
            return
        slipped = mirrored + self.slippage_of(order, market) if hit.slips else mirrored
        price = self._instruments[order.symbol].to_price(slipped * order.side.sign)
        self._traded += 1
        fill = Fill(
            order_id=order.id,
            trade_id=f"{self.name}-{self._traded}",
            time=start if hit.phase == AT_OPEN else market.time,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=price,
            commission=self.commission_of(order, quantity, price),
        )
        self._account.apply(fill)
        self._days.setdefault(order.symbol, self._day(order.symbol, start))
        available = left[buys]
        left[buys] = None if available is None else available - quantity
        resting.remaining -= quantity
        # While its parent still fills, an exit waits for more to protect.
        if not resting.remaining and order.parent not in self._book:
            del self._book[order.id]
        yield fill
        yield from self._after_fill(order, quantity, hit, market)

    def _quantity(self, resting: Resting, available: Decimal | None) -> Decimal:
        """Lots that fill now: 0 when a fill-or-kill cannot, or when there is nothing left to reduce."""
        order, wanted = resting.order, resting.remaining
        if order.reduce_only:
            held = self._account.position(order.symbol).quantity
            wanted = min(wanted, max(-held * order.side.sign, _ZERO))
        if available is None:
            return wanted
        if order.time_in_force is TimeInForce.FOK and available < wanted:
            return _ZERO
        return min(wanted, available)

    def _after_fill(
        self, order: Order, quantity: Decimal, hit: Match, market: Market
    ) -> Iterable[Execution]:
        """Wake the children, and cancel or reduce the orders that exclude this one."""
        for other in list(self._book.values()):
            if other.order.parent == order.id:
                if other.asleep:
                    other.asleep, other.remaining = False, _ZERO
                    other.inside = hit.phase != AT_OPEN
                other.remaining = min(other.remaining + quantity, other.order.quantity)
            elif order.oco and other.order.oco == order.oco and other.order.id != order.id:
                other.remaining = max(other.remaining - quantity, _ZERO)
                if order.id not in self._book or not other.remaining:
                    yield self._drop(other, market.time, f"{order.id} filled")

    def _end_of(self, market: Market, met: Mapping[bool, Touch]) -> Iterable[Execution]:
        """Immediate orders have had their chance; trailing stops remember the best price."""
        for resting in list(self._book.values()):
            if not resting.met:
                continue
            resting.met = resting.inside = False
            order = resting.order
            if order.time_in_force in _AT_ONCE:
                yield self._drop(resting, market.time, "not filled at once")
            elif order.order_type is OrderType.TRAILING_STOP and (buys := order.side.sign > 0) in met:
                low = met[buys].low
                resting.best = low if resting.best is None else min(resting.best, low)

    def _volume(self, market: Market, buys: bool) -> Decimal | None:
        """Lots that one side can trade on *market*; None when that is not limited."""
        if self.volume_share is None:
            return None
        if isinstance(market, Bar):
            size = market.volume
        else:
            size = market.ask_size if buys else market.bid_size
        step = self._instruments[market.symbol].to_quantity
        return step(Decimal(repr(size)) * self.volume_share)

    # What time does.

    def _expire(self, symbol: str, start: int) -> Iterable[Execution]:
        for resting in list(self._book.values()):
            order = resting.order
            if order.symbol != symbol:
                continue
            match order.time_in_force:
                case TimeInForce.GTD:
                    ended = order.expires <= start
                case TimeInForce.DAY:
                    ended = self._day(symbol, order.time) < self._day(symbol, start)
                case _:
                    ended = False
            if ended:
                self._book.pop(order.id, None)
                yield Expired(order_id=order.id, time=start)
                yield from self._orphans(order, start)

    def _swaps(self, symbol: str, start: int) -> Iterable[Execution]:
        """Financing for each night since the last one, three for Wednesday's, none at the weekend."""
        held = self._account.position(symbol).quantity
        today = self._day(symbol, start)
        last = self._days.get(symbol, today)
        self._days[symbol] = today
        nights = sum(_nights(day) for day in range(last, today))
        if held and nights:
            instrument = self._instruments[symbol]
            rate = instrument.swap_long if held > 0 else instrument.swap_short
            swap = Swap(symbol=symbol, time=start, amount=abs(held) * rate * nights)
            self._account.apply(swap)
            yield swap

    def _apply_changes(self, start: int) -> Iterable[Execution]:
        due = [change for at, change in self._changes if at <= start]
        self._changes = [(at, change) for at, change in self._changes if at > start]
        for change in due:
            resting = self._book.get(change.order_id)
            if resting is None:
                yield CancelRejected(order_id=change.order_id, time=start, reason="too late: not working")
            elif isinstance(change, Cancel):
                yield self._drop(resting, start, "asked")
                yield from self._orphans(resting.order, start)
            else:
                yield from self._amend(resting, change, start)

    def _amend(self, resting: Resting, change: Replace, start: int) -> Iterable[Execution]:
        filled = resting.order.quantity - resting.remaining
        order = resting.order = change.of(resting.order)
        resting.remaining = max(order.quantity - filled, _ZERO)
        yield Replaced(
            order_id=order.id,
            time=start,
            quantity=order.quantity,
            price=order.price,
            stop_price=order.stop_price,
        )
        if not resting.remaining:
            self._book.pop(order.id, None)

    def _drop(self, resting: Resting, time: int, reason: str) -> Canceled:
        self._book.pop(resting.order.id, None)
        return Canceled(order_id=resting.order.id, time=time, reason=reason)

    def _orphans(self, parent: Order, time: int) -> Iterable[Execution]:
        """Children that will never wake, now that their parent is gone."""
        for resting in list(self._book.values()):
            if resting.order.parent == parent.id and (resting.asleep or not resting.remaining):
                yield self._drop(resting, time, f"{parent.id} is gone")

    # What the account allows.

    def _missing_margin(self, order: Order) -> str | None:
        rate = self._instruments[order.symbol].margin_rate
        price = self._account.price(order.symbol)
        if not rate or order.reduce_only or order.parent or price != price:
            return None
        held = self._account.position(order.symbol).quantity
        added = abs(held + order.signed_quantity) - abs(held)
        needed = self._account.value(order.symbol, added, Decimal(repr(price))) * rate
        free = Decimal(repr(self._account.equity)) - self._account.margin
        if added <= 0 or needed <= free:
            return None
        return f"not enough margin: needs {needed:.2f} {self._account.currency}, {free:.2f} is free"

    def _day(self, symbol: str, time: int) -> int:
        return self._instruments[symbol].sessions.trading_day(time)


def _nights(day: int) -> int:
    """How many nights the rollover after *day* (counted from 1970, a Thursday) stands for."""
    return (1, 1, 3, 1, 1, 0, 0)[(day + 3) % 7]
