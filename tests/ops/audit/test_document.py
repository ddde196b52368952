from __future__ import annotations

import uuid
from decimal import Decimal

import msgspec
import pytest

from nicegold import Event, Fill, Halted, Objection, Order, PluginFailed, Side, Vetoed
from nicegold.testing import START
from nicegold_ops.audit.document import KINDS, Told, event_id, of_calls, of_event
from nicegold_ops.audit.fields import FIELDS, mapping
from nicegold_ops.store.queries import CallBlock, Message
from nicegold_ops.telemetry.cycles import Count, Cycle
from nicegold_ops.telemetry.flight import Call
from nicegold_ops.trace import span_id, trace_id, traceparent

WALL = 1_795_831_093_677_250_251
ORDER = Order(
    symbol="XAUUSD", side=Side.BUY, quantity=Decimal("0.10"), id="cross-1", strategy="cross", time=START
)
FILL = Fill(
    order_id="cross-1",
    trade_id="t-1",
    time=START,
    symbol="XAUUSD",
    side=Side.BUY,
    quantity=Decimal("0.10"),
    price=Decimal("2000.10"),
    commission=Decimal("0.70"),
    strategy="cross",
)


def told(event: Event, sequence: int = 9, cause: int = 7) -> Told:
    return Told(Message("run", sequence, type(event).__name__, msgspec.json.encode(event), WALL, cause))


def test_a_fill_belongs_to_the_trace_of_its_order_and_names_the_cycle_it_came_in():
    document = of_event(told(FILL), {"cross-1": traceparent("run", 3)})

    assert trace_id("run", 3) == document["trace.id"]
    assert span_id(trace_id("run", 3), "order", "cross-1") == document["span.id"]
    assert (7, trace_id("run", 7)) == (document["nicegold.cycle.cause"], document["nicegold.cycle.trace.id"])
    assert ("order.filled", ["change"], "success") == tuple(
        document[f"event.{name}"] for name in ("action", "type", "outcome")
    )
    assert ("0.10", 0.1, "2000.10", 2000.1) == tuple(
        document[f"nicegold.fill.{name}"] for name in ("quantity", "quantity_value", "price", "price_value")
    )


def test_money_is_said_digit_by_digit_with_a_number_beside_it():
    document = of_event(told(ORDER), {"cross-1": traceparent("run", 7)})

    assert ("0.10", 0.1) == (document["nicegold.order.quantity"], document["nicegold.order.quantity_value"])
    assert trace_id("run", 7) == document["trace.id"]


def test_a_veto_says_who_objected_and_why():
    objections = [Objection("limit", "would hold 3"), Objection("hours", "closed")]
    document = of_event(told(Vetoed(order=ORDER, objections=objections, time=START)), {})

    assert ["limit", "hours"] == document["nicegold.risk.rule"]
    assert "would hold 3; closed" == document["event.reason"]
    assert ("cross-1", "denied", "failure") == (
        document["nicegold.order.client_id"],
        document["event.type"][0],
        document["event.outcome"],
    )


def test_what_is_about_no_order_belongs_to_the_trace_of_its_cycle():
    document = of_event(told(Halted(plugin="limit", reason="enough", time=START)), {})

    assert trace_id("run", 7) == document["trace.id"] == document["nicegold.cycle.trace.id"]
    assert ("limit", "enough") == (document["nicegold.plugin.name"], document["event.reason"])


def test_what_an_earlier_nicegold_wrote_without_its_cause_has_no_trace():
    document = of_event(told(Halted(plugin="limit", reason="enough"), cause=0), {})

    assert not {"trace.id", "span.id", "nicegold.cycle.trace.id"} & document.keys()


@pytest.mark.parametrize(
    "event", [ORDER, FILL, Halted(plugin="p", reason="r"), PluginFailed(plugin="p", hook="h", error="e")]
)
def test_a_document_has_no_field_that_is_not_declared(event):
    assert set() == of_event(told(event), {}).keys() - FIELDS.keys()


def test_each_event_that_is_told_has_a_name_of_its_own():
    from nicegold_ops.store.outbox import _UNTOLD  # what nobody is told needs none

    kinds = {kind.__name__ for kind in Event.__subclasses__() if kind.__module__.startswith("nicegold.")}
    assert kinds - {kind.__name__ for kind in _UNTOLD} == KINDS.keys()
    assert len(KINDS) == len({kind.action for kind in KINDS.values()})


def test_calls_and_counts_are_documents_too():
    call = Call("check_order", "limit", 4, 7, WALL, 1500, "vetoed")
    count = Count("on_bar", "cross", 1, 9, 0, 8, 0, 1, 12_000, "ab" * 32)
    payload = b"".join(msgspec.json.encode(each) + b"\n" for each in (Cycle(7, [call, call]), count))

    documents = list(of_calls(CallBlock("run", 2, payload, b"\x01" * 32, WALL)))

    assert ["hook.called", "hook.called", "hook.counted"] == [each["event.action"] for each in documents]
    assert ("success", "vetoed", 1500, trace_id("run", 7)) == tuple(
        documents[0][name] for name in ("event.outcome", "event.reason", "event.duration", "trace.id")
    )
    assert ("failure", 9, "ab" * 32) == tuple(
        documents[2][name] for name in ("event.outcome", "nicegold.calls.last", "nicegold.calls.sha256")
    )
    assert 3 == len({each["event.id"] for each in documents})
    assert set() == set().union(*documents) - FIELDS.keys()


def test_an_id_is_a_uuid_of_version_7_that_says_its_time_and_is_the_same_again():
    made = uuid.UUID(event_id(WALL, "run", "9"))

    assert (7, uuid.RFC_4122) == (made.version, made.variant)
    assert WALL // 1_000_000 == made.int >> 80
    assert str(made) == event_id(WALL, "run", "9")
    assert 4 == len({event_id(WALL, writer, place) for writer in ("run", "nur") for place in ("9", "10")})


def test_the_mapping_takes_the_declared_fields_and_no_other():
    said = mapping()

    assert {"type": "keyword", "ignore_above": 1024} == (
        said["properties"]["nicegold"]["properties"]["fill"]["properties"]["price"]
    )
    assert "strict" == said["dynamic"] == said["properties"]["nicegold"]["dynamic"]
