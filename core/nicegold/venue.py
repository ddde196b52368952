"""A venue inside this process: what it does with orders, from arrival to the last fill.

Its rules are the table in docs/paper.md; each has a test. At what price an order fills is decided
by `matching`; what is here is the venue's book and its calendar. What trading costs, it asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from operator import itemgetter
from typing import Final, Protocol, TypeAlias

from nicegold.matching import Book, Match, Meeting, Resting, met_at_open
from nicegold.model import (
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
    Order,
    OrderType,
    Placed,
    Rejected,
    Replace,
    Replaced,
    Side,
    Swap,
    TimeInForce,
    Triggered,
)
from nicegold.portfolio import Portfolio
from nicegold.sessions import DAY, Sessions
from nicegold.values import ZERO

# In Python 3.11 looking a member up in its enum is a function call.
_DAY: Final = TimeInForce.DAY
_FOK: Final = TimeInForce.FOK
_GTC: Final = TimeInForce.GTC
_LIMITED: Final = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_ONE: Final = Decimal(1)
Change: TypeAlias = Cancel | Replace


class Costs(Protocol):
    """What a venue asks about each order."""

    def slippage_of(self, order: Order, market: Market) -> Decimal:
        """Price against us on a market or stop order."""

    def commission_of(self, order: Order, quantity: Decimal, price: Decimal) -> Decimal:
        """Account currency for *quantity* lots at *price*."""

    def latency_of(self, request: Order | Change) -> int:
        """Nanoseconds from us to the venue."""


class Venue:
    """The book of one venue, called *name*.

    *volume_share* caps fills at that part of each bar's volume, or of each quote's size; without it
    volume is not looked at.
    """

    def __init__(
        self,
        name: str,
        costs: Costs,
        instruments: Mapping[str, Instrument],
        account: Account,
        volume_share: Decimal | None = None,
    ) -> None:
        self._name = name
        self._costs = costs
        self._instruments = instruments
        self._volume_share = volume_share
        #: The venue's own books: the same fold, over what the venue did. They are kept where prices
        #: matter to the venue, for margin or for a rate; elsewhere it counts lots.
        self.account = Portfolio(account, instruments)
        self._on_margin = [each for each in instruments.values() if each.margin_rate]
        foreign = any(each.currency != account.currency for each in instruments.values())
        self.needs_prices = foreign or bool(self._on_margin)
        #: Signed lots by symbol.
        self.lots = dict.fromkeys(instruments, ZERO)
        self._book = Book()
        #: When each change reaches the venue, and the symbol of its order.
        self._changes: list[tuple[int, str, Change]] = []
        #: The trading day up to which financing is paid, of what is held.
        self._financed: dict[str, int] = {}
        self._accepted = self._traded = 0

    # What we are asked.

    def place(self, order: Order) -> Accepted | Rejected:
        """Answer whether the book takes *order*."""
        reason = self._take(order)
        if reason:
            return Rejected(order_id=order.id, time=order.time, reason=reason)
        self._accepted += 1
        return Accepted(order_id=order.id, time=order.time, venue_order_id=f"{self._name}-{self._accepted}")

    def note(self, change: Change, order: Order) -> Placed:
        """Let *change* of *order* be on its way; what becomes of it, the market's next event tells."""
        self._changes.append((change.time + self._costs.latency_of(change), order.symbol, change))
        return Placed(order_id=order.id, time=change.time, broker=self._name)

    def _take(self, order: Order) -> str:
        """Take *order* into the book, or answer why not."""
        if order.parent and order.parent not in self._book:
            return f"its parent {order.parent} is not working"
        free = self._free_margin() if self._on_margin else ZERO
        self._book[order.id] = self._resting(order)
        missing = self._missing(free, self._free_margin()) if self._on_margin else ""
        if missing:
            del self._book[order.id]
        return missing

    def _resting(self, order: Order) -> Resting:
        instrument = self._instruments[order.symbol]
        resting = Resting(order, instrument, order.time + self._costs.latency_of(order))
        if order.parent:
            resting.backed = self._book[order.parent].filled
        if order.time_in_force is _DAY:
            resting.day = _day_on(instrument.sessions, order.time)
        return resting

    # What the market does.

    def meet(self, market: Market) -> list[Execution]:
        """All that *market* does to the book."""
        executions = self._begin(market) if self._changes or self._financed else []
        if self.needs_prices:
            self.account.apply(market)
        book = self._book
        if len(book) == 1 and self._volume_share is None and (resting := next(iter(book.values()))).is_plain:
            executions += self._fill_alone(resting, market)
        elif book:
            executions += self._meet_all(market)
        return executions

    def _fill_alone(self, resting: Resting, market: Market) -> list[Execution]:
        """Fill the only order, whole and at the open: as `_meet` would, without looking for what else may be.

        Most orders come alone, and a backtest spends a third of its time on orders.
        """
        order, start = resting.order, market.start if type(market) is Bar else market.time
        if order.symbol != market.symbol or start < resting.works_from:
            return []
        met = met_at_open(market, order.side, resting.instrument)
        del self._book[order.id]
        fill = self._trade(order, order.quantity, self._price(order, met, market, at_open=True), start)
        self._count_nights_from(order.symbol, start)
        return [fill]

    def _begin(self, market: Market) -> list[Execution]:
        """What is due before this market is met, so at the prices from before it."""
        start = market.start if isinstance(market, Bar) else market.time
        return [*self._pay_swap(market.symbol, start), *self._apply_changes(market.symbol, start)]

    def _meet_all(self, market: Market) -> list[Execution]:
        meeting = Meeting(market, self._instruments[market.symbol], self._volume_share)
        return self._meet(meeting) if any(map(meeting.disturbs, self._book.values())) else []

    def _meet(self, meeting: Meeting) -> list[Execution]:
        """One step after another, since each fill may wake, reduce or end other orders."""
        symbol = meeting.market.symbol
        executions = self._expire(symbol, meeting.start)
        while self._book and (found := self._book.first(meeting)):
            resting, hit = found
            if resting.awaits_trigger:
                executions += self._trigger(resting, hit, meeting)
            else:
                executions += self._fill(resting, hit, meeting)
        if self._book:
            executions += self._end_of(meeting)
            executions += self._expire(symbol, meeting.market.time)
        return executions

    def _trigger(self, resting: Resting, hit: Match, meeting: Meeting) -> Iterable[Execution]:
        time = meeting.time_of(resting, hit)
        resting.trigger(hit)
        if resting.order.order_type is OrderType.STOP_LIMIT:
            yield Triggered(order_id=resting.order.id, time=time)

    def _fill(self, resting: Resting, hit: Match, meeting: Meeting) -> list[Execution]:
        done: Execution
        order, time = resting.order, meeting.time_of(resting, hit)
        quantity, reason = self._quantity(resting, meeting)
        if quantity:
            at_open = meeting.is_open(resting, hit)
            price = self._price(order, hit.price, meeting.market, at_open=at_open)
            done = self._trade(order, quantity, price, time)
            self._book.fill(resting, quantity, hit, meeting)
            self._count_nights_from(order.symbol, meeting.start)
        else:
            done = self._cancel(resting, time, reason)
        return [done, *self._sweep(time)]

    def _quantity(self, resting: Resting, meeting: Meeting) -> tuple[Decimal, str]:
        """Lots that fill now; when there are none, also why."""
        order, wanted = resting.order, resting.remaining
        left = None if self._volume_share is None else meeting.left(resting)
        if order.reduce_only:
            wanted = min(wanted, self._reducible(order))
        if not wanted:
            return ZERO, "there is nothing left to reduce"
        if left is not None:
            wanted = min(wanted, left)
        if order.time_in_force is _FOK and wanted < resting.remaining:
            return ZERO, f"only {wanted} can be filled at once"
        return wanted, ""

    def _reducible(self, order: Order) -> Decimal:
        """Lots of our position that *order* may close."""
        held = self.lots[order.symbol]
        return abs(held) if held * order.side.sign < 0 else ZERO

    def _price(self, order: Order, met: Decimal, market: Market, *, at_open: bool) -> Decimal:
        slippage = ZERO if order.order_type in _LIMITED else self._costs.slippage_of(order, market)
        instrument = self._instruments[order.symbol]
        price = (met + slippage) * order.side.sign
        # What is met at the open is at the tick, and an order's own price is as it was written.
        if slippage or not at_open:
            price = instrument.to_price(price)
        # Slippage may not take a price below the lowest there is.
        return price if price > instrument.tick_size else instrument.tick_size

    def _trade(self, order: Order, quantity: Decimal, price: Decimal, time: int) -> Fill:
        self._traded += 1
        fill = Fill(
            order_id=order.id,
            trade_id=f"{self._name}-{self._traded}",
            time=time,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=price,
            commission=self._costs.commission_of(order, quantity, price),
            rate=self._rate_of(order.symbol) if self.needs_prices else _ONE,
        )
        self.lots[order.symbol] += quantity * order.side.sign
        if self.needs_prices:
            self.account.apply(fill)
        return fill

    def _rate_of(self, symbol: str) -> Decimal:
        return self.account.rate(self._instruments[symbol].currency)

    def _sweep(self, time: int) -> list[Execution]:
        """Take out what is filled, with the orders that it excludes, and what will never fill."""
        ended: list[Execution] = []
        while resting := self._book.spent():
            if not resting.is_complete:
                ended.append(self._cancel(resting, time, "there is nothing left for it to fill"))
                continue
            del self._book[resting.order.id]
            for sibling in self._book.siblings(resting.order):
                ended.append(self._cancel(sibling, time, f"{resting.order.id} filled"))
        return ended

    def _cancel(self, resting: Resting, time: int, reason: str) -> Canceled:
        del self._book[resting.order.id]
        return Canceled(order_id=resting.order.id, time=time, reason=reason)

    # What time does.

    def _end_of(self, meeting: Meeting) -> Iterable[Execution]:
        """Immediate orders have had their chance."""
        for resting in self._book.working(meeting):
            if resting.is_immediate and resting.since is None:
                yield self._cancel(resting, meeting.market.time, "it could not be filled at once")
            meeting.leave(resting)
        yield from self._sweep(meeting.market.time)

    def _expire(self, symbol: str, now: int) -> list[Execution]:
        expired = []
        for each in self._book.values():
            order = each.order
            if order.time_in_force is not _GTC and order.symbol == symbol and self._has_expired(each, now):
                expired.append(each)
        if not expired:
            return []
        for resting in expired:
            del self._book[resting.order.id]
        return [*(Expired(order_id=each.order.id, time=now) for each in expired), *self._sweep(now)]

    def _has_expired(self, resting: Resting, now: int) -> bool:
        order = resting.order
        match order.time_in_force:
            case TimeInForce.GTD:
                return order.expires <= now
            case TimeInForce.DAY:
                return resting.day < self._day(order.symbol, now)
            case _:
                return False

    def _count_nights_from(self, symbol: str, start: int) -> None:
        instrument = self._instruments[symbol]
        if not (instrument.swap_long or instrument.swap_short):
            return
        if self.lots[symbol]:
            self._financed.setdefault(symbol, self._day(symbol, start))
        else:
            self._financed.pop(symbol, None)

    def _pay_swap(self, symbol: str, start: int) -> Iterable[Execution]:
        """Financing for each night since the last one, three for Wednesday's, none at the weekend."""
        if symbol not in self._financed:
            return
        last, today = self._financed[symbol], self._day(symbol, start)
        nights = sum(map(_nights, range(last, today)))
        self._financed[symbol] = max(last, today)
        if nights:
            instrument = self._instruments[symbol]
            held = self.lots[symbol]
            rate = instrument.swap_long if held > 0 else instrument.swap_short
            swap = Swap(symbol=symbol, time=start, amount=abs(held) * rate * nights)
            if self.needs_prices:
                self.account.apply(swap)
            yield swap

    def _apply_changes(self, symbol: str, start: int) -> Iterable[Execution]:
        for change in self._due(symbol, start):
            resting = self._book.get(change.order_id)
            if resting is None:
                yield CancelRejected(
                    order_id=change.order_id, time=start, reason="too late: it is not working"
                )
            elif isinstance(change, Cancel):
                yield self._cancel(resting, start, "asked")
            else:
                yield self._amend(resting, change, start)
        yield from self._sweep(start)

    def _due(self, symbol: str, start: int) -> list[Change]:
        """The changes that have reached the venue by *start*, in the order in which they did."""
        due = [each for each in self._changes if each[0] <= start and each[1] == symbol]
        self._changes = [each for each in self._changes if each not in due]
        return [change for _, _, change in sorted(due, key=itemgetter(0))]

    def _amend(self, resting: Resting, change: Replace, time: int) -> Replaced | CancelRejected:
        before, free = resting.order, self._free_margin()
        order = change.of(before)
        resting.amend(order)
        missing = self._missing(free, self._free_margin())
        if missing:
            resting.amend(before)
            return CancelRejected(order_id=order.id, time=time, reason=missing)
        return Replaced(
            order_id=order.id,
            time=time,
            quantity=order.quantity,
            price=order.price,
            stop_price=order.stop_price,
        )

    # What the account allows.

    def _free_margin(self) -> Decimal:
        """Account currency held back neither by positions nor by what the orders may open."""
        if not self._on_margin:
            return ZERO
        return Decimal(repr(self.account.equity)) - sum(map(self._held_back, self._on_margin), ZERO)

    def _held_back(self, instrument: Instrument) -> Decimal:
        """Account currency for the larger of what buys and what sells would leave us holding."""
        symbol, price = instrument.symbol, self.account.price(instrument.symbol)
        if price != price:
            return ZERO
        entering = {Side.BUY: ZERO, Side.SELL: ZERO}
        for resting in self._book.values():
            if resting.order.symbol == symbol and not resting.order.reduce_only:
                entering[resting.order.side] += resting.remaining
        held = self.lots[symbol]
        most = max(held + entering[Side.BUY], entering[Side.SELL] - held)
        return self.account.value(symbol, most, Decimal(repr(price))) * instrument.margin_rate

    def _missing(self, before: Decimal, after: Decimal) -> str:
        """Why free margin may not go from *before* to *after*; empty where it may."""
        if after >= 0 or after >= before:
            return ""
        currency = self.account.currency
        return f"not enough margin: it needs {before - after:.2f} {currency}, {before:.2f} is free"

    def _day(self, symbol: str, time: int) -> int:
        return self._instruments[symbol].sessions.trading_day(time)


def _day_on(sessions: Sessions, time: int) -> int:
    """The trading day that is on at *time*, or the next to open."""
    moments = range(time, time + 8 * DAY, DAY // 96)
    return sessions.trading_day(next(filter(sessions.is_open, moments), time))


def _nights(day: int) -> int:
    """How many nights the rollover after *day* (counted from 1970, a Thursday) stands for."""
    return (1, 1, 3, 1, 1, 0, 0)[(day + 3) % 7]
