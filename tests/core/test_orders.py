"""The life of an order: FIX's transitions as a table, and what holds whatever a venue says."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import (
    Accepted,
    Cancel,
    Canceled,
    CancelRejected,
    Event,
    Expired,
    Fill,
    Found,
    Order,
    OrderState,
    OrderStatus,
    OrderType,
    Placed,
    Rejected,
    Replace,
    Replaced,
    Side,
    Triggered,
    Unknown,
)
from nicegold.books import TERMINAL
from nicegold.orders import advance

ID = "s-1"
S = OrderStatus
LIMIT = Order(
    symbol="XAUUSD",
    side=Side.BUY,
    quantity=Decimal(5),
    order_type=OrderType.LIMIT,
    price=Decimal(2000),
    id=ID,
    strategy="s",
)


def fill(lots: str | Decimal, trade: str = "t") -> Fill:
    return Fill(
        order_id=ID,
        trade_id=trade,
        time=1,
        symbol="XAUUSD",
        side=Side.BUY,
        quantity=Decimal(lots),
        price=Decimal(2000),
    )


def replace(lots: int | None = None) -> Replace:
    return Replace(order_id=ID, quantity=None if lots is None else Decimal(lots), price=Decimal(1999))


def replaced(lots: int) -> Replaced:
    return Replaced(order_id=ID, time=1, quantity=Decimal(lots), price=Decimal(1999))


def after(*events: Event, order: Order = LIMIT) -> OrderState:
    """The order once all *events* have happened."""
    return reduce(advance, events, OrderState(order))


PLACED = Placed(order_id=ID)
ACCEPTED = Accepted(order_id=ID, time=1, venue_order_id="v-1")
REJECTED = Rejected(order_id=ID, time=1, reason="no")
CANCEL = Cancel(order_id=ID)
CANCELED = Canceled(order_id=ID, time=1)
CANCEL_REJECTED = CancelRejected(order_id=ID, time=1, reason="too late")
NEVER_SENT = CancelRejected(order_id=ID, time=1, reason="not yours", sent=False)
EXPIRED = Expired(order_id=ID, time=1)
TRIGGERED = Triggered(order_id=ID, time=1)
UNKNOWN = Unknown(order_id=ID, reason="timeout")
FOUND = Found(order_id=ID, time=1)


@pytest.mark.parametrize(
    ("status", "events"),
    [
        # Placing.
        (S.PENDING_NEW, [PLACED]),
        (S.NEW, [ACCEPTED]),
        (S.NEW, [PLACED, ACCEPTED]),
        (S.REJECTED, [REJECTED]),
        (S.REJECTED, [ACCEPTED, REJECTED]),
        (S.PARTIALLY_FILLED, [fill("2")]),
        (S.PARTIALLY_FILLED, [fill("2"), ACCEPTED]),
        (S.PARTIALLY_FILLED, [ACCEPTED, fill("2")]),
        (S.FILLED, [ACCEPTED, fill("2", "a"), fill("3", "b")]),
        (S.FILLED, [fill("5")]),
        (S.FILLED, [fill("6")]),
        (S.EXPIRED, [ACCEPTED, EXPIRED]),
        (S.EXPIRED, [ACCEPTED, fill("2"), EXPIRED]),
        (S.CANCELED, [ACCEPTED, CANCELED]),
        (S.NEW, [ACCEPTED, TRIGGERED]),
        # Cancelling.
        (S.PENDING_CANCEL, [CANCEL]),
        (S.PENDING_CANCEL, [CANCEL, ACCEPTED]),
        (S.REJECTED, [CANCEL, REJECTED]),
        (S.PENDING_CANCEL, [ACCEPTED, CANCEL]),
        (S.PENDING_CANCEL, [ACCEPTED, CANCEL, fill("2")]),
        (S.FILLED, [ACCEPTED, CANCEL, fill("5")]),
        (S.CANCELED, [ACCEPTED, CANCEL, CANCELED]),
        (S.CANCELED, [ACCEPTED, CANCEL, fill("2"), CANCELED]),
        (S.NEW, [ACCEPTED, CANCEL, CANCEL_REJECTED]),
        (S.PARTIALLY_FILLED, [ACCEPTED, CANCEL, fill("2"), CANCEL_REJECTED]),
        (S.EXPIRED, [ACCEPTED, CANCEL, EXPIRED]),
        # Replacing.
        (S.PENDING_REPLACE, [ACCEPTED, replace(7)]),
        (S.NEW, [ACCEPTED, replace(7), replaced(7)]),
        (S.NEW, [ACCEPTED, replace(7), CANCEL_REJECTED]),
        (S.PENDING_REPLACE, [ACCEPTED, replace(7), fill("2")]),
        (S.PARTIALLY_FILLED, [ACCEPTED, replace(7), fill("2"), replaced(7)]),
        (S.PENDING_REPLACE, [ACCEPTED, replace(7), fill("5")]),
        (S.PARTIALLY_FILLED, [ACCEPTED, replace(7), fill("5"), replaced(7)]),
        (S.FILLED, [ACCEPTED, replace(7), fill("5"), CANCEL_REJECTED]),
        (S.FILLED, [ACCEPTED, replace(), fill("5")]),
        (S.FILLED, [ACCEPTED, replace(3), fill("3"), replaced(3)]),
        (S.FILLED, [ACCEPTED, replace(3), fill("5")]),
        (S.NEW, [ACCEPTED, replaced(7)]),
        (S.REJECTED, [ACCEPTED, replace(7), REJECTED]),
        # Crossings.
        (S.PENDING_CANCEL, [ACCEPTED, replace(7), CANCEL]),
        (S.PENDING_CANCEL, [ACCEPTED, replace(7), CANCEL, replaced(7)]),
        (S.CANCELED, [ACCEPTED, replace(7), CANCEL, replaced(7), CANCELED]),
        (S.NEW, [ACCEPTED, replace(7), CANCEL, replaced(7), CANCEL_REJECTED]),
        (S.PENDING_CANCEL, [ACCEPTED, replace(7), CANCEL, CANCEL_REJECTED]),
        (S.NEW, [ACCEPTED, replace(7), CANCEL, CANCEL_REJECTED, CANCEL_REJECTED]),
        (S.NEW, [ACCEPTED, replace(7), CANCEL, CANCEL_REJECTED, replaced(7)]),
        (S.FILLED, [ACCEPTED, fill("3"), replace(3), CANCEL, replaced(3)]),
        (S.PENDING_CANCEL, [ACCEPTED, CANCEL, replace(7)]),
        # A request that never left is answered by nobody, so it settles nothing.
        (S.NEW, [ACCEPTED, NEVER_SENT]),
        (S.PENDING_CANCEL, [ACCEPTED, CANCEL, NEVER_SENT]),
        (S.PENDING_REPLACE, [ACCEPTED, replace(7), NEVER_SENT]),
        (S.NEW, [ACCEPTED, CANCEL_REJECTED]),
        # Unknown.
        (S.UNKNOWN, [UNKNOWN]),
        (S.UNKNOWN, [ACCEPTED, CANCEL, UNKNOWN]),
        (S.UNKNOWN, [UNKNOWN, CANCEL]),
        (S.UNKNOWN, [UNKNOWN, replace(7)]),
        (S.UNKNOWN, [UNKNOWN, CANCEL, CANCEL_REJECTED]),
        (S.UNKNOWN, [UNKNOWN, PLACED]),
        (S.UNKNOWN, [UNKNOWN, TRIGGERED]),
        (S.NEW, [UNKNOWN, ACCEPTED]),
        (S.REJECTED, [UNKNOWN, REJECTED]),
        (S.PARTIALLY_FILLED, [UNKNOWN, fill("2")]),
        (S.FILLED, [UNKNOWN, fill("5")]),
        (S.CANCELED, [UNKNOWN, CANCEL, CANCELED]),
        (S.EXPIRED, [UNKNOWN, EXPIRED]),
        (S.NEW, [ACCEPTED, replace(7), UNKNOWN, replaced(7)]),
        # That the order is there says nothing of a change whose answer is missing; that all is told does.
        (S.UNKNOWN, [ACCEPTED, replace(7), UNKNOWN, ACCEPTED]),
        (S.UNKNOWN, [ACCEPTED, CANCEL, UNKNOWN, ACCEPTED]),
        (S.UNKNOWN, [ACCEPTED, CANCEL, UNKNOWN, fill("2")]),
        (S.NEW, [ACCEPTED, CANCEL, UNKNOWN, FOUND]),
        (S.NEW, [UNKNOWN, FOUND]),
        (S.NEW, [ACCEPTED, replace(7), FOUND]),
        (S.PARTIALLY_FILLED, [ACCEPTED, CANCEL, fill("2"), FOUND]),
        (S.FILLED, [ACCEPTED, replace(7), fill("5"), FOUND]),
        (S.CANCELED, [ACCEPTED, CANCEL, CANCELED, FOUND]),
        # The end is the end.
        (S.CANCELED, [ACCEPTED, CANCELED, fill("2")]),
        (S.CANCELED, [ACCEPTED, CANCELED, ACCEPTED]),
        (S.REJECTED, [REJECTED, ACCEPTED]),
        (S.EXPIRED, [EXPIRED, CANCELED]),
        (S.FILLED, [fill("5"), CANCEL, CANCELED]),
        (S.FILLED, [fill("5"), replaced(9)]),
        (S.FILLED, [fill("5"), UNKNOWN]),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(type(each).__name__ for each in value),
)
def test_an_order_goes_through_fixs_states(status, events):
    assert status is after(*events).status


def test_a_late_fill_counts_and_changes_nothing_else():
    canceled = after(ACCEPTED, fill("2"), CANCELED)

    late = advance(canceled, fill("1", "late"))

    assert (Decimal(3), S.CANCELED) == (late.filled, late.status)
    assert Decimal(0) == late.remaining


def test_until_a_replace_is_answered_the_larger_terms_count():
    up, down = after(ACCEPTED, fill("1"), replace(9)), after(ACCEPTED, fill("1"), replace(2))

    assert (Decimal(8), Decimal(4)) == (up.remaining, down.remaining)
    assert Decimal(1) == advance(down, replaced(2)).remaining
    assert Decimal(4) == advance(up, CANCEL_REJECTED).remaining


def test_which_of_two_requests_was_refused_is_not_known_so_the_larger_terms_still_count():
    one_refused = after(ACCEPTED, replace(9), CANCEL, CANCEL_REJECTED)

    assert Decimal(9) == one_refused.remaining
    assert Decimal(5) == advance(one_refused, CANCEL_REJECTED).remaining


def test_a_second_replace_waits_for_the_first():
    pending = after(ACCEPTED, replace(7))

    assert pending == advance(pending, replace(9))


def test_an_order_rests_when_the_venue_has_it_and_owes_no_answer():
    assert after(ACCEPTED).is_resting
    assert after(ACCEPTED, fill("1")).is_resting
    for owed in ([], [ACCEPTED, CANCEL], [ACCEPTED, replace(7)], [UNKNOWN], [CANCELED]):
        assert not after(*owed).is_resting


def test_new_terms_are_those_that_the_order_has():
    """A broker that names no price, or one too many, changes only what can be changed."""
    limit = after(ACCEPTED, Replaced(order_id=ID, time=1, quantity=Decimal(7), stop_price=Decimal(1)))
    market = after(replaced(7), order=Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal(5), id=ID))

    assert (Decimal(7), Decimal(2000), None) == (
        limit.order.quantity,
        limit.order.price,
        limit.order.stop_price,
    )
    assert (Decimal(7), None) == (market.order.quantity, market.order.price)
    assert Decimal(1999) == after(ACCEPTED, replaced(7)).order.price


def test_the_venues_name_for_an_order_is_kept_even_when_it_comes_late():
    assert "v-1" == after(CANCEL, ACCEPTED).venue_order_id
    assert "v-1" == after(ACCEPTED, Accepted(order_id=ID, time=2)).venue_order_id


def test_a_stop_limit_remembers_that_it_was_triggered():
    assert after(ACCEPTED, TRIGGERED, fill("1")).triggered


# Whatever a venue says.

LOTS = st.integers(1, 12).map(Decimal)
EVENTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                PLACED,
                ACCEPTED,
                REJECTED,
                CANCEL,
                CANCELED,
                CANCEL_REJECTED,
                NEVER_SENT,
                EXPIRED,
                TRIGGERED,
                UNKNOWN,
            ]
        ),
        LOTS.map(fill),
        st.builds(Replace, order_id=st.just(ID), quantity=st.none() | LOTS, price=st.none() | LOTS),
        st.builds(
            Replaced,
            order_id=st.just(ID),
            time=st.just(1),
            quantity=LOTS,
            price=st.none() | LOTS,
            stop_price=st.none() | LOTS,
        ),
    ),
    max_size=12,
)
ORDERS = st.sampled_from(
    [
        LIMIT,
        Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal(5), id=ID),
        Order(
            symbol="XAUUSD",
            side=Side.SELL,
            quantity=Decimal(5),
            order_type=OrderType.TRAILING_STOP,
            trail=Decimal(3),
            id=ID,
        ),
    ]
)
VENUE_FACTS = (Accepted, Fill, Rejected, Canceled, Expired, Replaced)


def steps(order: Order, events: list[Event]) -> list[tuple[OrderState, Event, OrderState]]:
    """Each event with the state before and after it."""
    state, taken = OrderState(order), []
    for event in events:
        taken.append((state, event, advance(state, event)))
        state = taken[-1][2]
    return taken


@given(ORDERS, EVENTS)
def test_an_end_never_changes(order, events):
    for before, event, later in steps(order, events):
        if before.status in TERMINAL:
            assert before.status is later.status
            assert before.order == later.order
            assert isinstance(event, Fill) or before == later


@given(ORDERS, EVENTS)
def test_filled_is_the_sum_of_the_fills(order, events):
    fills = [event.quantity for event in events if isinstance(event, Fill)]

    assert sum(fills, Decimal(0)) == after(*events, order=order).filled


@given(ORDERS, EVENTS)
def test_what_remains_is_never_negative_and_never_less_than_the_order_may_still_fill(order, events):
    for _, _, state in steps(order, events):
        missing = state.order.quantity - state.filled
        least = max(missing, Decimal(0)) if state.is_working else Decimal(0)
        assert state.remaining >= least
        assert state.is_working or state.remaining == 0
        assert not state.is_working or state.remaining > 0


@given(ORDERS, EVENTS)
def test_only_the_venue_ends_a_doubt(order, events):
    for before, event, later in steps(order, events):
        if before.status is S.UNKNOWN and later.status is not S.UNKNOWN:
            assert isinstance(event, VENUE_FACTS)


@given(ORDERS, EVENTS)
def test_an_order_is_pending_exactly_while_the_venue_owes_an_answer(order, events):
    for _, _, state in steps(order, events):
        pending = state.status in (S.PENDING_CANCEL, S.PENDING_REPLACE)
        assert state.unanswered >= (1 if pending or state.asked else 0)
        assert state.unanswered == 0 or pending or state.status is S.UNKNOWN


@given(ORDERS, EVENTS)
def test_an_order_stays_one_that_could_be_built(order, events):
    state = after(*events, order=order)

    assert order.order_type is state.order.order_type
    assert (order.price is None, order.stop_price is None) == (
        state.order.price is None,
        state.order.stop_price is None,
    )
