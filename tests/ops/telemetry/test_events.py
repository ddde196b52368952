from __future__ import annotations

from decimal import Decimal

import pytest

from nicegold import (
    Accepted,
    Canceled,
    Expired,
    Fill,
    Halted,
    HaltLifted,
    Objection,
    Order,
    OrderType,
    Placed,
    PluginFailed,
    Portfolio,
    Refused,
    Rejected,
    Side,
    Swap,
    Unknown,
    Vetoed,
)
from nicegold.testing import ACCOUNT, GOLD, bar, market_order
from nicegold_ops.telemetry.counts import Counts, LabelGuard
from nicegold_ops.telemetry.events import EventCounters

AT = 1


@pytest.fixture
def failures() -> list[str]:
    return []


@pytest.fixture
def events(failures: list[str]) -> EventCounters:
    guard = LabelGuard()
    counters = EventCounters(guard, Counts(guard), lambda: failures.append("failed"))
    counters.broker = "venue"
    return counters


def fill(order: Order, quantity: str) -> Fill:
    return Fill(
        order_id=order.id,
        trade_id=f"trade of {quantity}",
        time=AT,
        symbol=order.symbol,
        side=order.side,
        quantity=Decimal(quantity),
        price=Decimal(2000),
    )


def reached(events: EventCounters) -> dict[str, int]:
    """Orders by the state they came into, without the states that none came into."""
    return {labels[-1]: int(count) for labels, count in events.orders.samples() if count}


def test_an_order_is_counted_in_each_state_it_comes_into(events):
    order = market_order(Side.BUY, "1.00")

    for event in (order, Accepted(order_id=order.id, time=AT), fill(order, "0.25"), fill(order, "0.75")):
        events.count(event)

    assert {"pending_new": 1, "new": 1, "partially_filled": 1, "filled": 1} == reached(events)
    assert 0 == events.open_orders


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (Rejected(order_id="test-1", time=AT, reason="no margin"), "rejected"),
        (Canceled(order_id="test-1", time=AT), "canceled"),
        (Expired(order_id="test-1", time=AT), "expired"),
    ],
)
def test_an_order_that_has_ended_is_not_open(events, end, status):
    events.count(market_order())
    assert 1 == events.open_orders

    events.count(end)

    assert {"pending_new": 1, status: 1} == reached(events)
    assert 0 == events.open_orders


def test_an_order_in_doubt_is_told_until_the_venue_speaks(events):
    events.count(market_order())
    events.count(Unknown(order_id="test-1", reason="timed out"))
    assert (1, 1) == (events.open_orders, events.unknown_orders)

    events.count(Accepted(order_id="test-1", time=AT))

    assert (1, 0) == (events.open_orders, events.unknown_orders)


def test_an_order_is_unanswered_until_the_venue_says_anything(events):
    events.count(market_order())
    events.count(Placed(order_id="test-1"))
    assert ["test-1"] == events.unanswered_orders()

    events.count(Accepted(order_id="test-1", time=AT))

    assert [] == events.unanswered_orders()


def test_all_states_of_a_new_kind_of_order_are_there_from_its_first(events):
    events.count(market_order())

    assert {
        *("pending_new", "new", "partially_filled", "filled", "pending_cancel", "pending_replace"),
        *("canceled", "rejected", "expired", "unknown", "vetoed"),
    } == {labels[-1] for labels, _ in events.orders.samples()}


def test_orders_are_told_apart_by_broker_strategy_and_type(events):
    events.count(market_order())
    events.count(market_order(id="test-2", order_type=OrderType.LIMIT, price=Decimal(1990)))

    assert [("venue", "test", "market"), ("venue", "test", "limit")] == list(
        dict.fromkeys(labels[:3] for labels, _ in events.orders.samples())
    )


def test_an_order_is_its_brokers_once_the_broker_has_said_so(events):
    events.count(market_order())
    events.count(Placed(order_id="test-1", broker="other"))
    events.count(Accepted(order_id="test-1", time=AT))

    assert {("venue", "pending_new"): 1, ("other", "new"): 1} == {
        (labels[0], labels[-1]): count for labels, count in events.orders.samples() if count
    }


def test_a_veto_is_counted_once_and_each_objection_by_who_made_it(events):
    objections = [
        Objection("limit", "too much"),
        Objection("collar", "too far"),
        Objection("engine", "halted"),
    ]

    events.count(Vetoed(order=market_order(), objections=objections, time=AT))

    assert {"vetoed": 1} == reached(events)
    assert {
        ("broker", "rejected"): 0,
        ("risk", "limit"): 1,
        ("risk", "collar"): 1,
        ("engine", "engine"): 1,
    } == dict(events.rejects.samples())


def test_failures_are_counted_by_hook_and_plugin(events):
    events.count(PluginFailed(plugin="cross", hook="on_bar", error="ValueError: no"))

    assert [(("on_bar", "cross"), 1.0)] == events.failures.samples()


def test_market_data_that_the_engine_refuses_are_counted_by_feed(failures):
    guard = LabelGuard()
    refused = Counts(guard)

    EventCounters(guard, refused, lambda: None).count(Refused(plugin="gold", reason="time runs backwards"))

    assert [(("gold", "refused"), 1.0)] == refused.samples()


def test_every_event_is_counted_by_its_name(events):
    for event in (bar(), bar(), Swap(symbol="XAUUSD", time=AT, amount=Decimal(-3))):
        events.count(event)

    told = dict(events.told())
    assert (2, 1, 0) == (told[("Bar",)], told[("Swap",)], told[("Fill",)])


SECOND = 10**9


def test_an_acceptance_is_measured_from_the_market_data_that_the_order_was_decided_at(events):
    events.measure_orders()
    events.count(market_order(time=SECOND))

    events.count(Accepted(order_id="test-1", time=3 * SECOND))

    [(labels, buckets, total)] = events.acks.buckets()
    at_most = dict(buckets)
    assert (("venue",), 2.0) == (labels, total)
    assert (0, 1, 1) == (at_most["1.0"], at_most["2.5"], at_most["+Inf"])


def test_a_venue_whose_clock_is_behind_accepts_at_once(events):
    events.measure_orders()
    events.count(market_order(time=3 * SECOND))

    events.count(Accepted(order_id="test-1", time=SECOND))

    assert [0.0] == [total for _, _, total in events.acks.buckets()]


def test_an_acceptance_that_ends_a_doubt_is_not_measured(events):
    events.measure_orders()
    for event in (
        market_order(time=SECOND),
        Unknown(order_id="test-1", reason="no answer"),
        Accepted(order_id="test-1", time=3 * SECOND),
    ):
        events.count(event)

    assert [0] == [dict(buckets)["+Inf"] for _, buckets, _ in events.acks.buckets()]


@pytest.mark.parametrize(
    ("side", "terms", "slippage"),
    [
        (Side.BUY, {"order_type": OrderType.STOP, "stop_price": Decimal(1999)}, 1 / 1999),
        (Side.SELL, {"order_type": OrderType.STOP, "stop_price": Decimal(2001)}, 1 / 2001),
        (Side.BUY, {"order_type": OrderType.LIMIT, "price": Decimal(2001)}, -1 / 2001),
    ],
)
def test_slippage_is_what_is_worse_than_the_price_that_was_asked_for(events, side, terms, slippage):
    events.measure_orders()
    order = market_order(side, **terms)

    events.count(order)
    events.count(fill(order, "0.10"))

    [(labels, _, total)] = events.slippage.buckets()
    assert (("test", order.order_type.value), pytest.approx(slippage)) == (labels, total)


def test_a_market_order_asks_for_no_price_and_cannot_slip(events):
    events.measure_orders()
    order = market_order()

    events.count(order)
    events.count(fill(order, "0.10"))

    assert [] == events.slippage.buckets()
    assert 0 == events.open_orders


def test_where_nobody_scrapes_orders_are_not_measured(events):
    events.count(market_order(time=SECOND))

    events.count(Accepted(order_id="test-1", time=3 * SECOND))

    assert [] == events.acks.buckets()


def test_a_halt_is_the_engines_state(events):
    assert "starting" == events.state

    events.count(Halted(plugin="drawdown", reason="lost too much"))

    assert "halted" == events.state


def test_a_halt_that_is_lifted_is_over(events):
    events.count(Halted(plugin="drawdown", reason="lost too much"))

    events.count(HaltLifted(reason="the limit was raised"))

    assert "running" == events.state


def test_what_an_earlier_run_left_is_told_and_not_counted_again(events):
    earlier = Portfolio(ACCOUNT, {GOLD.symbol: GOLD})
    for event in (
        market_order(),
        Unknown(order_id="test-1", reason="no answer"),
        Halted(plugin="a", reason="b"),
    ):
        earlier.apply(event)

    events.count(earlier.snapshot({}))

    assert (1, 1, "halted") == (events.open_orders, events.unknown_orders, events.state)
    assert {} == reached(events)
    events.count(Canceled(order_id="test-1", time=AT))
    assert ({"canceled": 1}, 0) == (reached(events), events.open_orders)


def test_what_happens_to_an_order_of_another_day_is_no_failure(events, failures):
    events.count(Accepted(order_id="of yesterday", time=AT))
    events.count(fill(market_order(), "0.10"))

    assert [] == failures


def test_what_cannot_be_counted_is_told_and_does_not_raise(events, failures):
    events.count("no event")

    assert ["failed"] == failures
