"""The life of an order: FIX's states, and what each event makes of them.

`advance` is total: a venue can say anything at any time, and a fill always counts, even one that
arrives after the cancel.
"""

from __future__ import annotations

from typing import Final

import msgspec

from nicegold.books import TERMINAL, OrderState
from nicegold.model import (
    Absent,
    Accepted,
    Cancel,
    Canceled,
    CancelRejected,
    Event,
    Expired,
    Fill,
    Found,
    Order,
    OrderStatus,
    Rejected,
    Replace,
    Replaced,
    Triggered,
    Unknown,
)

# In Python 3.11 looking a member up in its enum is a function call.
_NEW: Final = OrderStatus.NEW
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_FILLED: Final = OrderStatus.FILLED
_UNANSWERED: Final = frozenset({OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN})


def advance(state: OrderState, event: Event) -> OrderState:
    """*state* after *event*; the same state where the event can change nothing."""
    if isinstance(event, Fill):
        return _filled(state, event)
    if state.status in TERMINAL:
        return state
    match event:
        case Accepted():
            return _accepted(state, event)
        case Triggered():
            return _with(state, triggered=True)
        case Cancel():
            return _asked(state, OrderStatus.PENDING_CANCEL)
        case Replace() if state.asked is None:
            return _with(_asked(state, OrderStatus.PENDING_REPLACE), asked=event)
        case Replaced():
            return _replaced(state, event)
        case CancelRejected(sent=True) if state.unanswered:
            return _refused(state)
        case Rejected():
            return _ended(state, OrderStatus.REJECTED)
        case Canceled() | Expired() if event.filled is not None and event.filled > state.filled:
            # A trade of it has yet to be heard of, and until then it may have filled.
            return _with(state, status=OrderStatus.UNKNOWN)
        case Canceled():
            return _ended(state, OrderStatus.CANCELED)
        case Expired():
            return _ended(state, OrderStatus.EXPIRED)
        case Absent():
            return _absent(state)
        case Found():
            return _rested(_with(state, status=_NEW, asked=None, unanswered=0))
        case Unknown():
            return _with(state, status=OrderStatus.UNKNOWN)
        case _:
            return state


def _accepted(state: OrderState, event: Accepted) -> OrderState:
    status = state.status
    if status in _UNANSWERED:
        status = _settled(state) if state.unanswered or state.filled else _NEW
    return _with(state, status=status, venue_order_id=event.venue_order_id or state.venue_order_id)


def _absent(state: OrderState) -> OrderState:
    """It may leave once more; an order that is lost twice has a reason to be. One that filled was there."""
    if state.status not in _UNANSWERED or state.filled:
        return state
    if state.resent:
        return _ended(state, OrderStatus.REJECTED)
    return _with(state, status=OrderStatus.PENDING_NEW, resent=True)


def _filled(state: OrderState, fill: Fill) -> OrderState:
    filled = state.filled + fill.quantity
    if state.status in TERMINAL:
        return _with(state, filled=filled)
    if filled >= state.most:
        return _with(state, filled=filled, status=_FILLED, asked=None, unanswered=0)
    changed = _with(state, filled=filled)
    return _with(changed, status=_settled(changed))


def _asked(state: OrderState, status: OrderStatus) -> OrderState:
    """A request has left. What we ask ends no doubt, and a cancel outranks a replace."""
    if state.status in (OrderStatus.UNKNOWN, OrderStatus.PENDING_CANCEL):
        status = state.status
    return _with(state, status=status, unanswered=state.unanswered + 1)


def _refused(state: OrderState) -> OrderState:
    """Which of several requests was refused is not known, so the last answer settles them all."""
    left = state.unanswered - 1
    if left:
        return _with(state, unanswered=left)
    settled = _with(state, unanswered=0, asked=None)
    return settled if state.status is OrderStatus.UNKNOWN else _rested(settled)


def _replaced(state: OrderState, event: Replaced) -> OrderState:
    answered = 0 if state.asked is None else 1
    return _rested(
        _with(state, order=_amended(state.order, event), asked=None, unanswered=state.unanswered - answered)
    )


def _amended(order: Order, event: Replaced) -> Order:
    """*order* with the terms that it has."""
    price = order.price and (event.price or order.price)
    stop_price = order.stop_price and (event.stop_price or order.stop_price)
    return msgspec.structs.replace(order, quantity=event.quantity, price=price, stop_price=stop_price)


def _rested(state: OrderState) -> OrderState:
    return _with(state, status=_settled(state)) if state.remaining else _ended(state, OrderStatus.FILLED)


def _ended(state: OrderState, status: OrderStatus) -> OrderState:
    return _with(state, status=status, asked=None, unanswered=0)


def _settled(state: OrderState) -> OrderStatus:
    """The status of an order that works, once the venue has said something about it."""
    if state.unanswered and state.status is OrderStatus.UNKNOWN:
        return state.status
    if state.unanswered:
        cancels = state.asked is None or state.unanswered > 1
        return OrderStatus.PENDING_CANCEL if cancels else OrderStatus.PENDING_REPLACE
    return _PARTIALLY_FILLED if state.filled else _NEW


_with = msgspec.structs.replace
