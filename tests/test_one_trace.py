"""One trace id leads from a tick to the fill it caused, in every place that tells of it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from nicegold import Fill, Order
from nicegold_ops import session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.audit.explanation import explain
from nicegold_ops.audit.query import parse
from nicegold_ops.config import load
from nicegold_ops.journal import Run, Told, caused, read
from nicegold_ops.ship.elasticsearch import AuditStream
from nicegold_ops.ship.shipper import Shipper
from nicegold_ops.store.queries import traceparents
from nicegold_ops.trace import trace_id, trace_of
from tests.ops.commandline import market_in
from tests.services.elasticsearch import elasticsearch
from tests.services.jaeger import Jaeger, Span, jaeger
from tests.services.postgresql import postgresql
from tests.services.prometheus import prometheus, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Jaeger, Elasticsearch, str]]:
    with jaeger() as traces, elasticsearch("9.0.8") as node, postgresql() as database:
        client = Elasticsearch(node.url, max_retries=0, request_timeout=20)
        yield traces, client, database.url(database.new_database())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_fill_is_followed_by_its_trace_id_alone(tmp_path, servers, kind):
    traces, client, database = servers
    settings = [f'traces.endpoint="{traces.otlp}"']
    if kind == "postgresql":
        settings.append(f'run.store="{database}"')
    app = bootstrap(load(market_in(tmp_path, bars=400), settings), Run(f"of-{kind}", "paper", 1))
    port = app.telemetry.serve("127.0.0.1", 0, app.liveness)
    session.paper(app, stop=threading.Event())
    stream = AuditStream(client)
    shipper = Shipper(app.store, stream, wait=lambda _: False, chance=lambda: 0.0, wall=lambda: 1)
    shipper.run(until_done=True)
    client.indices.refresh(index=stream.name)

    fill = some_fill(app)
    trace = trace_named_by(app, fill)

    order = in_journal(app, trace)
    assert order_id(fill) == order_id(order)
    in_traces(traces, app, trace, order, fill)
    in_elasticsearch(stream, app, trace, order, fill)
    in_prometheus(tmp_path, port)
    assert trace == explain(app.store, order_id(order)).trace
    app.close()


def some_fill(app: App) -> Told:
    fills = [each for each in caused(read(app.store, app.run.run)) if isinstance(each.event, Fill)]
    # Another one each time that the market or the strategy changes, the same again.
    return random.Random(len(fills)).choice(fills)


def order_id(told: Told) -> str:
    match told.event:
        case Order(id=order_id) | Fill(order_id=order_id):
            return order_id
    raise AssertionError(told)


def trace_named_by(app: App, fill: Told) -> str:
    """What a person starts with: the trace of the fill's order."""
    assert isinstance(fill.event, Fill)
    with app.store.connect() as connection:
        [parent] = traceparents(connection, app.run.run, [fill.event.order_id]).values()
    return trace_of(parent)


def in_journal(app: App, trace: str) -> Told:
    """The order whose cycle has this trace."""
    told = [
        each for each in caused(read(app.store, app.run.run)) if trace_id(app.run.run, each.cause) == trace
    ]
    [order] = [each for each in told if isinstance(each.event, Order)]
    return order


def in_traces(traces: Jaeger, app: App, trace: str, order: Told, fill: Told) -> None:
    spans = traces.trace(trace)
    by_name: dict[str, Span] = {each.name: each for each in spans}

    assert order.cause == by_name["engine.cycle"].attributes["nicegold.cycle.cause"]
    for name in ("plugin cross/on_bar", "plugin limit/check_order", "plugin venue/place_order"):
        span = by_name[name]
        assert int(span.said["startTimeUnixNano"]) < int(span.said["endTimeUnixNano"])
    assert "success" == by_name["plugin limit/check_order"].attributes["nicegold.hook.outcome"]
    # It waited for its turn, and was on the disk before it left.
    assert by_name["receive gold"].id == by_name["engine.cycle"].parent
    assert app.store.dialect.name == by_name["COMMIT blocks"].attributes["db.system.name"]
    [followed] = [each for each in spans if each.name.startswith("order ")]
    states = [each["name"] for each in followed.said["events"]]
    assert ["nicegold.Accepted", "nicegold.Fill"] == states
    # The cycle of the fill, in a trace of its own, leads back here.
    [later] = [
        each for each in traces.trace(trace_id(app.run.run, fill.cause)) if each.name == "engine.cycle"
    ]
    assert [trace] == [each["traceId"] for each in later.said["links"] if each["spanId"] == followed.id]


def in_elasticsearch(stream: AuditStream, app: App, trace: str, order: Told, fill: Told) -> None:
    hits = stream.search(parse([f"trace:{trace}"]).body(1000))["hits"]["hits"]
    found = [each["_source"] for each in hits]
    calls = {
        (each["nicegold.hook.name"], each["nicegold.plugin.name"]): each
        for each in found
        if each["event.action"] == "hook.called"
    }

    assert {order.cause} == {each["nicegold.cycle.cause"] for each in calls.values()}
    assert ("success", "success") == (
        calls["check_order", "limit"]["event.reason"],
        calls["place_order", "venue"]["event.outcome"],
    )
    assert 0 < calls["on_bar", "cross"]["event.duration"]
    events = [each["event.action"] for each in found if each["nicegold.audit.writer.id"] == app.run.run][::-1]
    assert ["order.submitted", "order.accepted", "order.filled"] == events
    assert fill.sequence in [
        each["event.sequence"] for each in found if each["event.action"] == "order.filled"
    ]


def in_prometheus(folder: Path, port: int) -> None:
    with prometheus(folder, f"127.0.0.1:{port}") as server:
        until(
            lambda: bool(server.query('nicegold_hook_calls_total{hook="on_bar",plugin="cross"}')), "no cell"
        )
        [(_, calls)] = server.query('sum(nicegold_hook_calls_total{hook="on_bar",plugin="cross"})')
        assert 400 == calls
