"""What a session leaves of its calls: on record beside the journal, and as spans."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from nicegold import Fill, Order
from nicegold_ops import session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.calls import lines_of, read
from nicegold_ops.config import load
from nicegold_ops.errors import DataError
from nicegold_ops.journal import Run, caused, payloads
from nicegold_ops.journal import read as read_journal
from nicegold_ops.store.queries import order_with_fills
from nicegold_ops.store.tables import calls
from nicegold_ops.telemetry import tracer
from nicegold_ops.telemetry.cycles import Count, Cycle
from nicegold_ops.trace import trace_id
from tests.ops.commandline import market_in

TRACES = 'traces.endpoint="http://127.0.0.1:9/v1/traces"'


def lived(folder: Path, *overrides: str, bars: int = 300, name: str = "run") -> App:
    """A session on paper, from its first bar to its last."""
    folder.mkdir(exist_ok=True)
    app = bootstrap(load(market_in(folder, bars=bars), overrides), Run(name, "paper", 1))
    session.paper(app, stop=threading.Event())
    return app


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = lived(tmp_path)
    yield made
    made.close()


def cycles_of(app: App) -> dict[int, Cycle]:
    lines = [line for block in read(app.store, app.run.run) for line in lines_of(block)]
    return {line.cause: line for line in lines if isinstance(line, Cycle)}


def test_what_led_to_an_order_is_on_record_call_by_call(app):
    told = list(caused(read_journal(app.store, "run")))
    orders = [each for each in told if isinstance(each.event, Order)]
    cycles = cycles_of(app)

    assert orders
    for each in orders:
        hooks = [call.hook for call in cycles[each.cause].calls]
        assert hooks.index("on_bar") < hooks.index("check_order") < hooks.index("place_order")
        assert {each.cause} == {call.cause for call in cycles[each.cause].calls}


def test_an_input_that_led_to_nothing_is_counted_only(app):
    counts = [line for block in read(app.store, "run") for line in lines_of(block) if isinstance(line, Count)]
    [on_bar] = [each for each in counts if each.hook == "on_bar"]

    assert (1, 300, 300) == (on_bar.first, on_bar.last, on_bar.success)
    assert 0 < len(cycles_of(app)) < 150
    assert 0 == sum(each.missed for each in counts)
    # Each hook and plugin that was called at all.
    assert {(each.hook, each.plugin) for each in app.telemetry.summary() if each.calls} == {
        (each.hook, each.plugin) for each in counts
    }


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE calls SET payload = CAST(replace(payload, 'success', 'vetoed!') AS BLOB) WHERE number = 0",
        "DELETE FROM calls WHERE number = 0",
    ],
)
def test_a_record_that_was_changed_is_refused(app, change):
    with app.store.begin() as connection:
        assert 1 == connection.exec_driver_sql(change).rowcount
        connection.execute(calls.insert().values(run="run", number=9, payload=b"", digest=b"", created_at=1))

    with pytest.raises(DataError, match="block 0 of the calls of run run is missing or was changed"):
        list(read(app.store, "run"))


def test_a_session_whose_calls_are_read_does_what_one_does_that_nobody_reads(tmp_path, app):
    app.close()
    (tmp_path / "other").mkdir()
    other = bootstrap(load(market_in(tmp_path / "other", bars=300)), Run("run", "paper", 1))
    object.__setattr__(other, "witness", None)

    session.paper(other, stop=threading.Event())

    assert payloads_but_the_start(other.store) == payloads_but_the_start(app.store)
    assert [] == list(read(other.store, "run"))
    other.close()


# Spans.


class Deaf(SpanExporter):
    """A store that takes nothing, in three ways."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def export(self, spans: object) -> SpanExportResult:
        if isinstance(self._answer, Exception):
            raise self._answer
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Nothing is open."""


@pytest.fixture
def spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[App, list[ReadableSpan]]]:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracer, "otlp", lambda endpoint, headers: exporter)
    made = lived(tmp_path, TRACES, "traces.every=50")
    yield made, list(exporter.get_finished_spans())
    made.close()


def test_a_cycle_has_a_span_for_each_hook_and_below_it_for_each_plugin(spans):
    app, told = spans
    [first, *_] = [each for each in caused(read_journal(app.store, "run")) if isinstance(each.event, Order)]
    trace = int(trace_id("run", first.cause), 16)
    mine = {each.context.span_id: each for each in told if each.context.trace_id == trace}

    [received] = [each for each in mine.values() if each.parent is None]
    assert ("receive gold", "CONSUMER") == (received.name, received.kind.name)
    [root] = [each for each in mine.values() if each.name == "engine.cycle"]
    assert received.context.span_id == root.parent.span_id
    assert received.end_time <= root.end_time
    assert "nicegold.Order" in [each.name for each in root.events]
    for each in mine.values():
        match each.name.split():
            case ["hook", _] | ["order", *_] | ["COMMIT", _]:
                assert root.context.span_id == each.parent.span_id
            case ["plugin", name]:
                assert f"hook {name.split('/')[1]}" == mine[each.parent.span_id].name
    assert {"plugin cross/on_bar", "plugin limit/check_order", "plugin venue/place_order"} <= {
        each.name for each in mine.values()
    }
    [commit, *_] = [each for each in mine.values() if each.name == "COMMIT blocks"]
    [placed] = [each for each in mine.values() if each.name == "plugin venue/place_order"]
    assert ("CLIENT", "sqlite") == (commit.kind.name, commit.attributes["db.system.name"])
    # On the disk before it leaves.
    assert root.start_time <= commit.start_time < commit.end_time <= placed.start_time
    assert all(each.start_time <= each.end_time for each in mine.values())


def test_an_order_has_a_span_with_its_states_and_the_cycle_of_its_fill_links_to_it(spans):
    app, told = spans
    cause, fill = next(
        (each.cause, each.event)
        for each in caused(read_journal(app.store, "run"))
        if isinstance(each.event, Fill)
    )
    with app.store.connect() as connection:
        order, _ = order_with_fills(connection, "run", fill.order_id)
    assert order is not None
    [span] = [
        each
        for each in told
        if each.name.startswith("order ") and each.attributes["nicegold.order.client_id"] == fill.order_id
    ]

    assert str(order.state.status) == span.attributes["nicegold.order.status"]
    assert "nicegold.Fill" in [each.name for each in span.events]
    [cycle] = [
        each
        for each in told
        if each.name == "engine.cycle" and each.context.trace_id == int(trace_id("run", cause), 16)
    ]
    assert cycle.context.trace_id == span.context.trace_id or span.context in [
        each.context for each in cycle.links
    ]


def test_of_cycles_that_led_to_nothing_one_in_so_many_has_spans(spans):
    _, told = spans
    cycles = [each for each in told if each.name == "engine.cycle"]
    quiet = [each.attributes["nicegold.cycle.cause"] for each in cycles if not each.events]

    assert quiet
    assert [] == [cause for cause in quiet if cause % 50]


@pytest.mark.parametrize("answer", [None, OSError("gone")])
def test_a_trace_store_that_takes_nothing_changes_nothing_but_a_count(tmp_path, monkeypatch, answer):
    monkeypatch.setattr(tracer, "otlp", lambda endpoint, headers: Deaf(answer))
    watched = lived(tmp_path / "watched", TRACES)
    alone = lived(tmp_path / "alone")

    assert payloads_but_the_start(alone.store) == payloads_but_the_start(watched.store)
    dropped = watched.telemetry.registry.get_sample_value(
        "nicegold_telemetry_dropped_total", {"signal": "trace", "reason": "refused"}
    )
    assert dropped is not None
    assert 0 < dropped
    watched.close()
    alone.close()


def payloads_but_the_start(store: sa.Engine) -> bytes:
    """Configurations differ by the market's folder, or by the table that asks for traces."""
    return payloads(store, "run").partition(b"\n")[2]


def test_a_queue_that_is_full_takes_no_more_and_counts_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tracer, "otlp", lambda endpoint, headers: InMemorySpanExporter())
    monkeypatch.setattr(tracer.Queue.__init__, "__kwdefaults__", {"most": 10})

    app = lived(tmp_path, TRACES)

    dropped = app.telemetry.registry.get_sample_value(
        "nicegold_telemetry_dropped_total", {"signal": "trace", "reason": "queue_full"}
    )
    assert dropped is not None
    assert 0 < dropped
    app.close()


def test_what_is_logged_while_trading_belongs_to_the_cycle_in_hand(app):
    cause = app.telemetry.cause[0]
    other: list[str] = []
    thread = threading.Thread(target=lambda: other.append(app.telemetry.trace()))
    thread.start()
    thread.join()

    assert trace_id("run", cause) == app.telemetry.trace()
    assert [""] == other
