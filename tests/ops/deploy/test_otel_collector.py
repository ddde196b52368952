"""ops/deploy/otel-collector.yaml keeps what somebody will look for, as a real Collector runs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nicegold import Event, Order, Vetoed
from nicegold_ops.app import App
from nicegold_ops.journal import caused, read
from nicegold_ops.trace import trace_id
from tests.ops.test_witness import lived
from tests.services.collector import Collector, collector, validate
from tests.services.jaeger import Jaeger, Span, jaeger
from tests.services.prometheus import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store() -> Iterator[Jaeger]:
    with jaeger() as running:
        yield running


@pytest.fixture(scope="module")
def through(store: Jaeger) -> Iterator[Collector]:
    with collector(store) as running:
        yield running


def causes(app: App, kind: type[Event]) -> list[int]:
    """The inputs after which there was a *kind*, of a session that has ended."""
    return [each.cause for each in caused(read(app.store, app.run.run)) if isinstance(each.event, kind)]


def is_slow(span: Span) -> bool:
    """Whether this machine was busy, so that it is kept for that."""
    nanoseconds = int(span.said["endTimeUnixNano"]) - int(span.said["startTimeUnixNano"])
    return nanoseconds > {"engine.cycle": 50e6}.get(span.name, 1e9)


@pytest.mark.parametrize(("limit", "kind"), [("1.00", Order), ("0.05", Vetoed)])
def test_what_led_to_something_is_kept_and_nothing_else(store, through, tmp_path, limit, kind):
    traces = (f'traces.endpoint="{through.otlp}"', "traces.every=1", f'plugins.limit.limit="{limit}"')
    app = lived(tmp_path, *traces, bars=100, name=kind.__name__)
    found, mattered = causes(app, kind), set(causes(app, Event))
    app.close()

    def spans(cause: int) -> list[str]:
        return [each.name for each in store.trace(trace_id(kind.__name__, cause))]

    until(lambda: "engine.cycle" in spans(found[-1]), "what came last is not kept")
    for cause in found:
        assert {"engine.cycle", "hook on_bar", "plugin cross/on_bar"} <= set(spans(cause))
        assert (kind is Order) == any(name.startswith("order ") for name in spans(cause))
    quiet = [cause for cause in range(5, 95) if cause not in mattered]
    assert quiet
    kept = [store.trace(trace_id(kind.__name__, cause)) for cause in quiet]
    assert [] == [spans for spans in kept if spans and not any(map(is_slow, spans))]
    assert len(quiet) > 2 * sum(map(bool, kept))


@pytest.mark.parametrize(
    "stores", ["[otlphttp/store]", "[otlphttp/store, otlphttp/datadog, otlphttp/newrelic, otlphttp/sentry]"]
)
def test_each_store_can_be_named(stores):
    done = validate(NICEGOLD_TRACES_TO=stores)

    assert 0 == done.returncode, done.stderr


def test_a_store_that_nobody_knows_is_refused():
    done = validate(NICEGOLD_TRACES_TO="[otlphttp/elastic, otlphttp/nowhere]")

    assert 'references exporter "otlphttp/nowhere" which is not configured' in done.stderr
