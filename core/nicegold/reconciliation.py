"""Our books against the venue's: what we missed, what became of our orders, and what nothing explains.

A statement is older than the moment in which it is compared. What changed since it was asked for is
left for the next one, so a difference that is found is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import isfinite
from typing import Final

from nicegold.books import TERMINAL, OrderState
from nicegold.clock import show_time
from nicegold.model import (
    Accepted,
    Adopted,
    Break,
    Canceled,
    Event,
    Execution,
    Expired,
    Fill,
    Mended,
    OrderStatus,
    Reconciled,
    Rejected,
    Statement,
    VenueOrder,
)
from nicegold.portfolio import Portfolio
from nicegold.values import ZERO, is_finite, misfit

#: Venues round cash to the cent.
_CENT: Final = Decimal("0.01")
_CLOCK: Final = "clock"
_IN_DOUBT: Final = frozenset({OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN})
_BY: Final = "found when our books were compared with the venue's"


class Comparison:
    """One *statement* of *broker*, as *portfolio* sees it.

    *touched* has the sequence at which an order or a symbol last changed for us.
    """

    def __init__(
        self, portfolio: Portfolio, statement: Statement, broker: str, touched: Mapping[str, int]
    ) -> None:
        self._portfolio = portfolio
        self._statement = statement
        self._broker = broker
        self._touched = touched

    def missed(self) -> list[Fill]:
        """The trades that are not in our books.

        Of an order that ended too long ago we do not know them; if one was missed, the position tells.
        """
        known = self._portfolio
        return [
            fill
            for fill in self._statement.fills
            if not (known.has_fill(fill) or known.is_adopted(fill) or known.has_forgotten(fill.order_id))
        ]

    def settled(self) -> list[Execution]:
        """What became of our orders, as far as we do not know it. Ask once the trades are booked."""
        found: list[Execution] = []
        for theirs in self._statement.orders:
            ours = self._portfolio.order(theirs.order_id)
            if ours is not None and self._is_settled(theirs.order_id):
                told = _told(ours, theirs, self._statement.time)
                if told is not None:
                    found.append(told)
        return found

    def verdict(self) -> list[Event]:
        """What to tell of breaks. Ask once all else is told: what remains, nothing explains."""
        known = {key: each for key, each in self._portfolio.breaks.items() if key[0] == self._broker}
        found = {(each.broker, each.kind, each.about): each for each in self._breaks()}
        told: list[Event] = [each for key, each in found.items() if not _is_same(each, known.get(key))]
        open_still = set(found)
        for key, each in known.items():
            if key in found:
                continue
            if self._can_judge(each):
                mended = Mended(
                    broker=each.broker, kind=each.kind, about=each.about, time=self._statement.time
                )
                told.append(mended)
            else:
                open_still.add(key)
        is_known = self._broker in self._portfolio.reconciled
        if not open_still and (known if is_known else self._is_all_judged()):
            told.append(Reconciled(broker=self._broker, time=self._statement.time))
        return told

    def _is_all_judged(self) -> bool:
        """Whether nothing has changed since the venue was asked: else something could differ unseen."""
        portfolio, statement = self._portfolio, self._statement
        orders = (each.order_id for each in statement.orders)
        about = (*portfolio.orders, *orders, *portfolio.positions, *statement.positions, portfolio.currency)
        return all(map(self._is_settled, about))

    def adopted(self, reason: str) -> Iterator[Adopted]:
        """What ends breaks by a person's word. Tell each before the next: cash depends on what lots cost."""
        for each in list(self._breaks()):
            amount = self._adoptable(each)
            if amount is not None:
                yield Adopted(
                    broker=each.broker,
                    kind=each.kind,
                    about=each.about,
                    ours=each.ours,
                    theirs=each.theirs,
                    reason=reason,
                    time=each.time,
                    amount=amount,
                )

    def can_be_adopted(self) -> bool:
        """Whether all that differs is seen, and it is known what the lots there cost that we can hold."""
        held = (symbol for symbol in self._statement.positions if symbol in self._portfolio.instruments)
        return self._is_all_judged() and all(self._cost(symbol) is not None for symbol in held)

    def _adoptable(self, found: Break) -> Decimal | None:
        """What is theirs in money; None for what no word ends."""
        match found.kind:
            case "order":
                return None if self._works_there(found.about) else ZERO
            case "position":
                return self._cost(found.about)
            case "cash":
                theirs = self._statement.cash or ZERO
                return theirs - self._paid(self._statement.costs or {}) + self._paid(self._costs())
            case _:
                return None

    def _works_there(self, about: str) -> bool:
        """Whether it is to be cancelled at the venue: what works there can fill, whatever we say."""
        return any(
            about in (each.order_id, each.venue_order_id) and each.status not in TERMINAL
            for each in self._statement.orders
        )

    def _cost(self, symbol: str) -> Decimal | None:
        """What their lots cost, by the last price where they do not say; None where nothing says."""
        if symbol not in self._portfolio.instruments:
            return None
        lots = self._statement.positions.get(symbol, ZERO)
        said = (self._statement.costs or {}).get(symbol)
        if said is not None or not lots:
            return said if lots else ZERO
        price = self._portfolio.price(symbol)
        return Decimal(repr(price)) * lots if isfinite(price) else None

    # What differs.

    def _breaks(self) -> Iterator[Break]:
        yield from self._orders()
        yield from self._positions()
        yield from self._cash()
        yield from self._clock()

    def _orders(self) -> Iterator[Break]:
        theirs = {each.order_id: each for each in self._statement.orders if each.order_id}
        for order in self._statement.orders:
            yield from self._order(order)
        for order_id, state in self._portfolio.orders.items():
            if order_id not in theirs and not _is_asked_about(state) and self._is_settled(order_id):
                yield self._break("order", order_id, _shown(state), "unknown")

    def _order(self, theirs: VenueOrder) -> Iterator[Break]:
        about = theirs.order_id or theirs.venue_order_id
        if not self._is_settled(about):
            return
        ours = self._portfolio.order(theirs.order_id)
        if ours is None:
            if theirs.status not in TERMINAL:
                ended = bool(self._portfolio.strategy_of(theirs.order_id))
                yield self._break("order", about, "ended" if ended else "unknown", _shown_theirs(theirs))
        elif not _is_asked_about(ours) and (theirs.status in TERMINAL or not _agree(ours, theirs)):
            yield self._break("order", about, _shown(ours), _shown_theirs(theirs))

    def _positions(self) -> Iterator[Break]:
        theirs = self._statement.positions
        for symbol in sorted({*theirs, *self._portfolio.positions}):
            ours = self._portfolio.position(symbol).quantity
            if ours != theirs.get(symbol, ZERO) and self._is_settled(symbol):
                yield self._break("position", symbol, f"{ours:f}", f"{theirs.get(symbol, ZERO):f}")

    def _cash(self) -> Iterator[Break]:
        currency, theirs, ours = self._portfolio.currency, self._statement.cash, self._portfolio.cash
        if theirs is None or not self._is_settled(currency) or not self._is_comparable():
            return
        if abs(theirs - self._paid(self._statement.costs or {}) - ours + self._paid(self._costs())) >= _CENT:
            yield self._break("cash", currency, f"{ours:f}", f"{theirs:f}")

    def _clock(self) -> Iterator[Break]:
        ours, theirs = self._statement.clock, self._statement.time
        if ours and abs(theirs - ours) > self._statement.slack:
            yield self._break(_CLOCK, "UTC", show_time(ours), show_time(theirs))

    def _is_comparable(self) -> bool:
        """Whether cash says the same here and there.

        It moves with what closed lots had cost, which depends on the order of the trades: two who heard of
        them in another order differ until all is closed. What the open lots cost makes up for it.
        """
        open_here = {symbol for symbol, each in self._portfolio.positions.items() if each.quantity}
        still_open = open_here.union(symbol for symbol, lots in self._statement.positions.items() if lots)
        if self._statement.costs is None:
            return not still_open
        # Elsewhere the rate of each closing has a part in it too.
        currency, instruments = self._portfolio.currency, self._portfolio.instruments
        return all(
            symbol in instruments and instruments[symbol].currency == currency for symbol in still_open
        )

    def _costs(self) -> dict[str, Decimal]:
        return {symbol: each.cost for symbol, each in self._portfolio.positions.items()}

    def _paid(self, costs: Mapping[str, Decimal]) -> Decimal:
        """What was paid for the open lots, in account currency."""
        instruments = self._portfolio.instruments
        return sum((cost * instruments[symbol].lot_size for symbol, cost in costs.items() if cost), ZERO)

    def _break(self, kind: str, about: str, ours: str, theirs: str) -> Break:
        time = self._statement.time
        return Break(broker=self._broker, kind=kind, about=about, ours=ours, theirs=theirs, time=time)

    def _is_settled(self, about: str) -> bool:
        """Whether nothing has changed it since the venue was asked."""
        return self._touched.get(about, 0) <= self._statement.asked

    def _can_judge(self, known: Break) -> bool:
        """Whether this statement says anything of what *known* is about."""
        match known.kind:
            case "cash" if self._statement.cash is None:
                return False
            case "clock":
                return self._statement.clock > 0
            case _:
                return self._is_settled(known.about)


def defect(statement: Statement) -> str:
    """Why *statement* cannot be compared; empty when it can."""
    try:
        parts = (statement, *statement.orders, *statement.fills)
        wrong = next(filter(None, map(misfit, parts)), "")
        if not all(map(is_finite, statement.positions.values())):
            wrong = wrong or "positions hold what is no number of lots"
        # What is left of a cost that was rounded may be smaller than any amount.
        if not all(map(Decimal.is_finite, (statement.costs or {}).values())):
            wrong = wrong or "costs hold what is no price times lots"
        return wrong
    except Exception as error:  # of what is none of these
        return f"it cannot be read: {error}"


def _told(ours: OrderState, theirs: VenueOrder, time: int) -> Execution | None:
    """What the venue would have said of the order, had we heard it."""
    order_id = theirs.order_id
    match theirs.status:
        case OrderStatus.CANCELED:
            return Canceled(order_id=order_id, time=time, reason=_BY, filled=theirs.filled)
        case OrderStatus.EXPIRED:
            return Expired(order_id=order_id, time=time, filled=theirs.filled)
        case OrderStatus.REJECTED:
            return Rejected(order_id=order_id, time=time, reason=_BY)
        case OrderStatus.FILLED if ours.filled == theirs.filled and not ours.unanswered:
            # A trade of it was taken back, and what that left open works no more.
            return Canceled(order_id=order_id, time=time, reason=_BY)
        case OrderStatus.FILLED:
            return None
        case _ if ours.status in _IN_DOUBT and not ours.unanswered:
            return Accepted(order_id=order_id, time=time, venue_order_id=theirs.venue_order_id)
        case _:
            return None


def _agree(ours: OrderState, theirs: VenueOrder) -> bool:
    order = ours.order
    # While a replace is under way either terms may be in force.
    quantities = {
        order.quantity,
        ours.asked.quantity if ours.asked and ours.asked.quantity else order.quantity,
    }
    return (
        theirs.symbol == order.symbol
        and theirs.side is order.side
        and theirs.quantity in quantities
        and theirs.filled == ours.filled
    )


def _is_asked_about(state: OrderState) -> bool:
    """Whether the venue is asked about it by itself: it is in doubt, or owes an answer."""
    return state.status in _IN_DOUBT or bool(state.unanswered)


def _is_same(found: Break, known: Break | None) -> bool:
    if known is None:
        return False
    # Clocks that differ show something else each time.
    return found.kind == _CLOCK or (found.ours, found.theirs) == (known.ours, known.theirs)


def _shown(state: OrderState) -> str:
    order = state.order
    return f"{state.status.value}: {order.side.value} {order.quantity} {order.symbol}, {state.filled} filled"


def _shown_theirs(order: VenueOrder) -> str:
    return f"{order.status.value}: {order.side.value} {order.quantity} {order.symbol}, {order.filled} filled"
