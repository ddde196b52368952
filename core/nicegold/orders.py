"""The life of an order: FIX's states, and what each event makes of them.

`advance` is total: a venue can say anything at any time, and a fill always counts, even one that
arrives after the cancel.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from nicegold.model import (
    ZERO,
    Accepted,
    Cancel,
    Canceled,
    CancelRejected,
    Event,
    Expired,
    Fill,
    Order,
    OrderStatus,
    Rejected,
    Replace,
    Replaced,
    Triggered,
    Unknown,
)

#: No event but a late fill changes an order that is in one of these, and a fill changes only `filled`.
TERMINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED})

_PENDING = frozenset({OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE})
_UNANSWERED = frozenset({OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN})


class OrderState(msgspec.Struct, frozen=True):
    """An order and how far it has come. *asked* is a replace that the venue has not answered."""

    order: Order
    status: OrderStatus = OrderStatus.PENDING_NEW
    filled: Decimal = ZERO
    triggered: bool = False
    venue_order_id: str = ""
    asked: Replace | None = None

    @property
    def is_working(self) -> bool:
        """Whether it may still fill. An unknown order may."""
        return self.status not in TERMINAL

    @property
    def remaining(self) -> Decimal:
        """Lots that may still fill, by the larger of the terms that may be in force."""
        if self.status in TERMINAL:
            return ZERO
        quantity = self.order.quantity
        if self.asked is not None and self.asked.quantity is not None:
            quantity = max(quantity, self.asked.quantity)
        return max(quantity - self.filled, ZERO)


def advance(state: OrderState, event: Event) -> OrderState:
    """*state* after *event*; the same state where the event can change nothing."""
    if isinstance(event, Fill):
        return _filled(state, event)
    if state.status in TERMINAL:
        return state
    match event:
        case Accepted() if state.status in _UNANSWERED:
            return _with(state, status=_resting(state), venue_order_id=event.venue_order_id)
        case Rejected() if state.status in _UNANSWERED:
            return _with(state, status=OrderStatus.REJECTED)
        case Triggered():
            return _with(state, triggered=True)
        case Cancel():
            return _with(state, status=OrderStatus.PENDING_CANCEL)
        case Replace() if state.status not in _PENDING:
            return _with(state, status=OrderStatus.PENDING_REPLACE, asked=event)
        case Replaced():
            return _replaced(state, event)
        case CancelRejected() if state.status in _PENDING:
            return _with(state, status=_resting(state), asked=None)
        case Canceled():
            return _with(state, status=OrderStatus.CANCELED, asked=None)
        case Expired():
            return _with(state, status=OrderStatus.EXPIRED, asked=None)
        case Unknown():
            return _with(state, status=OrderStatus.UNKNOWN)
        case _:
            return state


def _filled(state: OrderState, fill: Fill) -> OrderState:
    filled = state.filled + fill.quantity
    if state.status in TERMINAL:
        return _with(state, filled=filled)
    if filled >= state.order.quantity and state.asked is None:
        return _with(state, filled=filled, status=OrderStatus.FILLED)
    status = state.status if state.status in _PENDING else OrderStatus.PARTIALLY_FILLED
    return _with(state, filled=filled, status=status)


def _replaced(state: OrderState, event: Replaced) -> OrderState:
    order = msgspec.structs.replace(
        state.order, quantity=event.quantity, price=event.price, stop_price=event.stop_price
    )
    changed = _with(state, order=order, asked=None)
    resting = _resting(changed)
    # A cancel that crosses a replace is still pending.
    crossed = state.status is OrderStatus.PENDING_CANCEL and resting is not OrderStatus.FILLED
    return changed if crossed else _with(changed, status=resting)


def _resting(state: OrderState) -> OrderStatus:
    if state.filled >= state.order.quantity:
        return OrderStatus.FILLED
    return OrderStatus.PARTIALLY_FILLED if state.filled else OrderStatus.NEW


_with = msgspec.structs.replace
