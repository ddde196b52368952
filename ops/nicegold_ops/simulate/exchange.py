"""The other truth: an exchange in this process, with books of its own that share no code with ours.

It takes what reaches it and asks nobody whether that was meant: an order that arrives twice is there
twice, so that who sends it twice is found out.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from nicegold import (
    Absent,
    Accepted,
    Busted,
    Canceled,
    CancelRejected,
    Execution,
    Fill,
    Order,
    OrderStatus,
    OrderType,
    Rejected,
    Replace,
    Replaced,
    Side,
    Statement,
    VenueOrder,
)

ZERO = Decimal(0)
#: How long (ns) it remembers what ended: far longer than a clock is set back or an engine is away.
_REMEMBERED = 12 * 3600 * 1_000_000_000
#: Told of everything that happens, at the moment when it does.
Heard: TypeAlias = Callable[[Execution], None]
_ENDED = {Canceled: OrderStatus.CANCELED, Rejected: OrderStatus.REJECTED}


class Fenced(ConnectionError):
    """A request of a session that a later login has ended."""


@dataclass
class Booked:
    """An order at the exchange. An *id* of "" is of another terminal."""

    id: str
    venue_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    stop_price: Decimal | None = None
    reduce_only: bool = False
    filled: Decimal = ZERO
    status: OrderStatus = OrderStatus.NEW
    ended: int = 0

    @property
    def is_working(self) -> bool:
        return self.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    def meets(self, price: Decimal) -> bool:
        """Whether it trades at *price*; a stop that is reached is at market from then on."""
        sign = self.side.sign
        if self.stop_price is not None and sign * (price - self.stop_price) >= 0:
            self.order_type, self.stop_price = OrderType.MARKET, None
        if self.order_type is OrderType.MARKET:
            return True
        return self.price is not None and sign * (self.price - price) >= 0

    def shown(self) -> VenueOrder:
        return VenueOrder(
            order_id=self.id,
            venue_order_id=self.venue_order_id,
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            filled=self.filled,
            status=self.status,
            price=self.price,
            stop_price=self.stop_price,
        )


def traded(
    held: Decimal, cost: Decimal, signed: Decimal, price: Decimal
) -> tuple[tuple[Decimal, Decimal], Decimal]:
    """Lots and what they cost (price times lots) once *signed* lots traded; and what closing earned."""
    closed = max(min(-signed, held), ZERO) if held > 0 else min(max(-signed, held), ZERO)
    earned = ZERO
    if closed:
        average = cost / held
        earned = closed * (price - average)
        held, cost = held - closed, cost - closed * average
    opened = signed + closed
    return (held + opened, cost + opened * price), earned


class Exchange:
    """One account. *lot_sizes* by symbol are units a lot; *commission* is cash a lot.

    *clock* is the exchange's own. What happens is told to *heard*.
    """

    def __init__(
        self,
        cash: Decimal,
        lot_sizes: dict[str, Decimal],
        commission: Decimal,
        clock: Callable[[], int],
        heard: Heard,
        *,
        counts: bool = True,
    ) -> None:
        self.cash = cash
        #: Whether it says of an order that ends how much of it had filled; not every venue does.
        self.counts = counts
        self._lot_sizes = lot_sizes
        self._commission = commission
        self._clock = clock
        self._heard = heard
        self._session = 0
        #: By the order in which they came; two with one id are two.
        self.orders: list[Booked] = []
        #: How often an order of that id has come.
        self.arrivals: Counter[str] = Counter()
        self.fills: dict[str, Fill] = {}
        self.busted: set[str] = set()
        #: By symbol: signed lots, and what they cost (price times lots).
        self.positions: dict[str, tuple[Decimal, Decimal]] = {}
        #: By order, all that happened to it.
        self._told: dict[str, list[Execution]] = defaultdict(list)
        #: Of the orders and the fills, those that a statement may have to tell of.
        self._recent: list[Booked] = []
        self._recent_fills: deque[Fill] = deque()
        #: By symbol the price, and how many lots are left there.
        self._market: dict[str, tuple[Decimal, Decimal]] = {}

    # Sessions.

    def log_in(self) -> int:
        """A session, which ends those before it."""
        self._session += 1
        return self._session

    def _admit(self, session: int) -> None:
        if session != self._session:
            raise Fenced(f"session {session} has ended, {self._session} is on")

    # What clients ask.

    def take(self, order: Order, session: int) -> Accepted | Rejected:
        """Book *order* and let it meet the market. Raises Fenced."""
        self._admit(session)
        booked = Booked(
            order.id,
            f"X-{len(self.orders) + 1}",
            order.symbol,
            order.side,
            order.quantity,
            order.order_type,
            order.price,
            order.stop_price,
            order.reduce_only,
        )
        self._add(booked)
        accepted = Accepted(order_id=order.id, time=self._clock(), venue_order_id=booked.venue_order_id)
        self._tell(accepted)
        self._meet(booked)
        return accepted

    def _add(self, order: Booked) -> None:
        self.orders.append(order)
        self.arrivals[order.id] += 1
        self._recent = [each for each in self._recent if each.is_working or each.ended >= self._long_ago]
        self._recent.append(order)
        while self._recent_fills and self._recent_fills[0].time < self._long_ago:
            self._recent_fills.popleft()

    @property
    def _long_ago(self) -> int:
        """What ended before this, nobody asks about any more."""
        return self._clock() - _REMEMBERED

    def cancel(self, order_id: str, session: int) -> None:
        self._admit(session)
        order = self._working(order_id)
        if order is None:
            self._refuse(order_id)
        else:
            self._cancel(order, "asked for")

    def replace(self, change: Replace, session: int) -> None:
        self._admit(session)
        order = self._working(change.order_id)
        quantity = change.quantity
        if order is None or (quantity is not None and quantity <= order.filled):
            self._refuse(change.order_id)
            return
        order.quantity = quantity or order.quantity
        order.price = change.price or order.price
        order.stop_price = change.stop_price or order.stop_price
        self._tell(
            Replaced(
                order_id=order.id,
                time=self._clock(),
                quantity=order.quantity,
                price=order.price,
                stop_price=order.stop_price,
            )
        )
        self._meet(order)

    def _refuse(self, order_id: str) -> None:
        self._tell(CancelRejected(order_id=order_id, time=self._clock(), reason="it cannot be changed"))

    def _working(self, order_id: str) -> Booked | None:
        return next((each for each in self._recent if each.id == order_id and each.is_working), None)

    # What happens besides.

    def quote(self, symbol: str, price: Decimal, size: Decimal) -> None:
        """*size* lots trade at *price*, for each of the orders that it meets, first come first served."""
        self._market[symbol] = (price, size)
        for order in self._recent:
            if order.is_working and order.symbol == symbol:
                self._meet(order)

    def trade_elsewhere(self, symbol: str, side: Side, quantity: Decimal) -> Fill:
        """Another terminal trades on this account."""
        name = f"X-{len(self.orders) + 1}"
        order = Booked("", name, symbol, side, quantity)
        self._add(order)
        return self._fill(order, quantity, self._market[symbol][0])

    def bust(self, trade_id: str) -> None:
        """Take a trade back."""
        fill = self.fills[trade_id]
        self.busted.add(trade_id)
        self._book(fill.symbol, -fill.signed_quantity, fill.price, -fill.commission)
        for order in self.orders:
            if fill.order_id in (order.id, order.venue_order_id):
                order.filled -= fill.quantity
        self._tell(
            Busted(order_id=fill.order_id, trade_id=trade_id, time=self._clock(), reason="priced in error")
        )

    def adjust(self, cash: Decimal) -> None:
        """Cash that no trade explains."""
        self.cash += cash

    # What clients look up.

    def statement(self, since: int) -> Statement:
        return Statement(
            time=self._clock(),
            since=since,
            orders=[each.shown() for each in self._recent if each.is_working or each.ended >= since],
            fills=[
                each for each in self._recent_fills if each.time >= since and each.trade_id not in self.busted
            ],
            positions={symbol: lots for symbol, (lots, _) in self.positions.items()},
            cash=self.cash,
            costs={symbol: cost for symbol, (_, cost) in self.positions.items()},
        )

    def find(self, order_id: str) -> list[Execution]:
        """All that happened to the order; nothing if it is not here."""
        if order_id not in self.arrivals:
            return []
        return list(self._told[order_id])

    def absent(self, order_id: str) -> Absent:
        return Absent(order_id=order_id, time=self._clock())

    def exposure(self, symbol: str) -> tuple[Decimal, Decimal]:
        """The most lots, and the least, that we may hold of *symbol* once all that works has filled."""
        held = self.positions.get(symbol, (ZERO, ZERO))[0]
        adding = {
            side: sum((each.remaining for each in self._adding(symbol) if each.side is side), ZERO)
            for side in Side
        }
        return held + adding[Side.BUY], held - adding[Side.SELL]

    def _adding(self, symbol: str) -> Iterator[Booked]:
        return (
            each
            for each in self._recent
            if each.is_working and each.symbol == symbol and not each.reduce_only
        )

    # Books.

    def _meet(self, order: Booked) -> None:
        price, size = self._market.get(order.symbol, (None, ZERO))
        if price is None or not order.is_working or not order.meets(price):
            return
        quantity = min(order.remaining, size)
        if order.reduce_only:
            held = self.positions.get(order.symbol, (ZERO, ZERO))[0]
            quantity = min(quantity, max(-held * order.side.sign, ZERO))
            if not quantity:
                self._cancel(order, "nothing to reduce")
                return
        if quantity:
            self._fill(order, quantity, price)

    def _fill(self, order: Booked, quantity: Decimal, price: Decimal) -> Fill:
        time = self._clock()
        order.filled += quantity
        order.status = OrderStatus.PARTIALLY_FILLED if order.remaining else OrderStatus.FILLED
        if not order.remaining:
            order.ended = time
        fill = Fill(
            order_id=order.id or order.venue_order_id,
            trade_id=f"T-{len(self.fills) + 1}",
            time=time,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=price,
            commission=self._commission * quantity,
        )
        self.fills[fill.trade_id] = fill
        self._recent_fills.append(fill)
        self._book(order.symbol, fill.signed_quantity, price, fill.commission)
        self._tell(fill)
        return fill

    def _book(self, symbol: str, signed: Decimal, price: Decimal, commission: Decimal) -> None:
        """Cash moves by what closed lots earn against their average cost, and by commission."""
        held, cost = self.positions.get(symbol, (ZERO, ZERO))
        self.positions[symbol], earned = traded(held, cost, signed, price)
        self.cash += earned * self._lot_sizes[symbol] - commission

    def _cancel(self, order: Booked, reason: str) -> None:
        filled = order.filled if self.counts else None
        told = Canceled(order_id=order.id, time=self._clock(), reason=reason, filled=filled)
        self._end(order, told)

    def _end(self, order: Booked, how: Canceled | Rejected) -> None:
        order.status, order.ended = _ENDED[type(how)], self._clock()
        self._tell(how)

    def _tell(self, execution: Execution) -> None:
        self._told[getattr(execution, "order_id", "")].append(execution)
        self._heard(execution)
