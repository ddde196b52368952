"""Cycles and orders as OpenTelemetry's spans.

`receive` is how long an input waited; `engine.cycle` holds a span for each hook, and each of those one for
each plugin's call; the journal's commits are beside them. An order has a span of its own in the trace of the
cycle it came from, on which its states are events; the cycles in which they came, minutes later perhaps, link
to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from itertools import groupby
from typing import Any, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from nicegold import Event, Fill, Order, OrderState, PluginFailed, Vetoed
from nicegold.books import TERMINAL
from nicegold.orders import advance
from nicegold_ops.telemetry.beside import NOTHING, Beside
from nicegold_ops.telemetry.cycles import Cycle
from nicegold_ops.telemetry.flight import Call
from nicegold_ops.telemetry.outgoing import Said
from nicegold_ops.trace import span_id, trace_id

SCOPE = InstrumentationScope("nicegold", version("nicegold"))
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
#: What a plugin does to reach somebody else.
_CLIENT = frozenset({"place_order", "cancel_order", "replace_order"})


class Declared(NamedTuple):
    """A span that there may be: its name, in which words in capitals stand for others, and what it is of."""

    name: str
    kind: str
    of: str
    attributes: tuple[str, ...] = ()


_ORDER_SAYS = (
    "nicegold.order.client_id",
    "nicegold.strategy.id",
    "nicegold.instrument.symbol",
    "nicegold.order.side",
    "nicegold.order.quantity",
    "nicegold.order.type",
    "nicegold.order.price",
    "nicegold.order.stop_price",
)
_REQUEST_SAYS = (
    "http.request.method",
    "url.path",
    "http.response.status_code",
    "server.address",
    "server.port",
)
#: All of them.
DECLARED = (
    Declared(
        "receive PLUGIN",
        "CONSUMER",
        "an input, from when a feed or a broker handed it over until its turn came; the root of its trace",
        (
            "messaging.system",
            "messaging.operation.type",
            "messaging.destination.name",
            "nicegold.plugin.name",
            "nicegold.plugin.kind",
        ),
    ),
    Declared(
        "engine.cycle",
        "INTERNAL",
        "an input to its end; what was told is its events, and orders that it is about are its links",
        ("nicegold.engine.mode", "nicegold.cycle.cause"),
    ),
    Declared(
        "hook HOOK", "INTERNAL", "a question to plugins", ("nicegold.hook.name", "nicegold.hook.impl_count")
    ),
    Declared(
        "plugin PLUGIN/HOOK",
        "INTERNAL; CLIENT where a broker is told",
        "one plugin's call",
        (
            "nicegold.hook.name",
            "nicegold.hook.outcome",
            "nicegold.plugin.name",
            "nicegold.plugin.kind",
            "code.function.name",
        ),
    ),
    Declared(
        "order SIDE SYMBOL",
        "INTERNAL",
        "an order from its cycle to its end; its states and fills are its events",
        (*_ORDER_SAYS, "nicegold.order.status"),
    ),
    Declared(
        "COMMIT blocks",
        "CLIENT",
        "a block of the journal, and what is made of it, on its way to the disk",
        (
            "db.system.name",
            "db.namespace",
            "db.operation.name",
            "db.collection.name",
            "server.address",
            "server.port",
            "error.type",
        ),
    ),
    Declared("audit.ship", "INTERNAL", "a round of `nicegold work` in which something was asked"),
    Declared("audit.checkpoint", "INTERNAL", "a checkpoint of `nicegold work` for which another was asked"),
    Declared(
        "METHOD /v1/PATH",
        "CLIENT",
        "a request to Vault",
        (*_REQUEST_SAYS, "peer.service", "error.type"),
    ),
    Declared(
        "METHOD /logs-nicegold.audit-NAMESPACE/_bulk",
        "CLIENT",
        "a request to Elasticsearch, such as this one",
        (*_REQUEST_SAYS, "db.system.name", "db.operation.batch.size", "error.type"),
    ),
)


def resource(instance: str) -> Resource:
    """Who tells of spans."""
    return Resource(
        {"service.name": "nicegold", "service.version": SCOPE.version or "", "service.instance.id": instance}
    )


class Spans:
    """Makes the spans of one run. *kinds* are the plugins' by name, *wall* tells ns UTC.

    *database* is what OpenTelemetry says of the one that the journal is in.
    """

    def __init__(
        self,
        run: str,
        mode: str,
        kinds: Callable[[str], str],
        wall: Callable[[], int],
        database: Said,
    ) -> None:
        self._run = run
        self._mode = mode
        self._kinds = kinds
        self._wall = wall
        self._database = database | {"db.operation.name": "COMMIT", "db.collection.name": "blocks"}
        self.resource = resource(run)
        #: The orders that may still change, oldest first.
        self._orders: dict[str, _Followed] = {}

    def of(self, cycle: Cycle, events: Iterable[Event], beside: Beside = NOTHING) -> Iterator[ReadableSpan]:
        """The spans that are complete with *cycle*, in which *events* were told."""
        trace = trace_id(self._run, cycle.cause)
        began, ended = self._times(cycle.calls)
        told, links, whole = [], [], []
        for event in events:
            told.append(SpanEvent(_name(event), _attributes(event), began))
            followed = self._follow(event, trace, began)
            if followed is None:
                continue
            if followed.trace != trace:
                links.append(Link(followed.context))
            if followed.state.status in TERMINAL:
                whole.append(self._order_span(self._orders.pop(followed.state.order.id)))
        failed = next((each for each in events if isinstance(each, PluginFailed)), None)
        yield self._span(
            "engine.cycle",
            context=_context(trace, span_id(trace)),
            parent=_context(trace, span_id(trace, "receive")) if beside.since else None,
            attributes={"nicegold.engine.mode": self._mode, "nicegold.cycle.cause": cycle.cause},
            events=told,
            links=links,
            status=Status(StatusCode.ERROR, f"{failed.plugin}.{failed.hook}") if failed else None,
            times=(began, ended),
        )
        if beside.since:
            yield self._receive(trace, beside, began)
        yield from self._hooks(trace, cycle.calls)
        yield from self._commits(trace, beside)
        yield from whole

    def unfinished(self) -> Iterator[ReadableSpan]:
        """The spans of orders that may still change, as far as they have come."""
        while self._orders:
            yield self._order_span(self._orders.pop(next(iter(self._orders))))

    # Beside the calls.

    def _receive(self, trace: str, beside: Beside, began: int) -> ReadableSpan:
        """How long the input waited for its turn; all else comes of it."""
        return self._span(
            f"receive {beside.source}",
            context=_context(trace, span_id(trace, "receive")),
            kind=SpanKind.CONSUMER,
            attributes={
                "messaging.system": "nicegold",
                "messaging.operation.type": "receive",
                "messaging.destination.name": beside.source,
                "nicegold.plugin.name": beside.source,
                "nicegold.plugin.kind": self._kinds(beside.source),
            },
            times=(beside.since, max(beside.since, began)),
        )

    def _commits(self, trace: str, beside: Beside) -> Iterator[ReadableSpan]:
        for number, (began, ended, failed) in enumerate(beside.commits):
            yield self._span(
                "COMMIT blocks",
                context=_context(trace, span_id(trace, "commit", number)),
                parent=_context(trace, span_id(trace)),
                kind=SpanKind.CLIENT,
                attributes=self._database | ({"error.type": failed} if failed else {}),
                status=Status(StatusCode.ERROR) if failed else None,
                times=(began, ended),
            )

    # The calls.

    def _hooks(self, trace: str, calls: list[Call]) -> Iterator[ReadableSpan]:
        """A span for each time that the engine asked, and below it one for each plugin that was asked."""
        cycle = _context(trace, span_id(trace))
        for number, (hook, asked) in enumerate(groupby(calls, key=lambda call: call.hook)):
            answered = list(asked)
            context = _context(trace, span_id(trace, hook, number))
            yield self._span(
                f"hook {hook}",
                context=context,
                parent=cycle,
                attributes={"nicegold.hook.name": hook, "nicegold.hook.impl_count": len(answered)},
                times=self._times(answered),
            )
            for call in answered:
                yield self._call(context, trace, call)

    def _call(self, parent: SpanContext, trace: str, call: Call) -> ReadableSpan:
        return self._span(
            f"plugin {call.plugin}/{call.hook}",
            context=_context(trace, span_id(trace, call.hook, call.plugin, call.sequence)),
            parent=parent,
            kind=SpanKind.CLIENT if call.hook in _CLIENT else SpanKind.INTERNAL,
            attributes={
                "nicegold.hook.name": call.hook,
                "nicegold.hook.outcome": call.outcome,
                "nicegold.plugin.name": call.plugin,
                "nicegold.plugin.kind": self._kinds(call.plugin),
                "code.function.name": call.hook,
            },
            status=Status(StatusCode.ERROR) if call.outcome == "error" else None,
            times=(call.start, call.start + call.duration),
        )

    # The orders.

    def _follow(self, event: Any, trace: str, time: int) -> _Followed | None:
        """The order that *event* is about, as it is after it; None where there is none that we know."""
        match event:
            case Order():
                state = OrderState(event)
                followed = _Followed(state, trace, time, [])
            case _:
                known = self._orders.get(getattr(event, "order_id", ""))
                if known is None:
                    return None
                followed = known.after(event, time)
        self._orders[followed.state.order.id] = followed
        return followed

    def _order_span(self, followed: _Followed) -> ReadableSpan:
        order = followed.state.order
        return self._span(
            f"order {order.side} {order.symbol}",
            context=followed.context,
            parent=_context(followed.trace, span_id(followed.trace)),
            attributes=_attributes(order) | {"nicegold.order.status": followed.state.status.value},
            events=followed.told,
            times=(followed.began, max([followed.began, *(each.timestamp for each in followed.told)])),
        )

    def _times(self, calls: list[Call]) -> tuple[int, int]:
        """When the first of *calls* began and the last ended; now, where there is none."""
        if not calls:
            return self._wall(), self._wall()
        return calls[0].start, max(call.start + call.duration for call in calls)

    def _span(
        self,
        name: str,
        *,
        context: SpanContext,
        times: tuple[int, int],
        attributes: Said,
        parent: SpanContext | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        events: list[SpanEvent] | None = None,
        links: list[Link] | None = None,
        status: Status | None = None,
    ) -> ReadableSpan:
        return ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            resource=self.resource,
            attributes=attributes,
            events=events or (),
            links=links or (),
            kind=kind,
            status=status or Status(),
            start_time=times[0],
            end_time=times[1],
            instrumentation_scope=SCOPE,
        )


class _Followed:
    """An order on its way: in which trace it began, and what was told of it since."""

    def __init__(self, state: OrderState, trace: str, began: int, told: list[SpanEvent]) -> None:
        self.state, self.trace, self.began, self.told = state, trace, began, told
        self.context = _context(trace, span_id(trace, "order", state.order.id))

    def after(self, event: Event, time: int) -> _Followed:
        """The same, when *event* was told at *time* (ns UTC)."""
        state = advance(self.state, event)
        return _Followed(
            state, self.trace, self.began, [*self.told, SpanEvent(_name(event), _attributes(event), time)]
        )


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=SAMPLED)


def _name(event: Event) -> str:
    return f"nicegold.{type(event).__name__}"


def _attributes(event: Any) -> Said:
    """What is said of *event*, by FIX's words; numbers as text, as they are exact."""
    match event:
        case Vetoed():
            said: dict[str, Any] = {
                f"nicegold.risk.{each.plugin}": each.reason for each in event.objections
            } | _of_order(event.order)
        case Order():
            said = _of_order(event)
        case Fill():
            said = {
                "nicegold.order.client_id": event.order_id,
                "nicegold.fill.id": event.trade_id,
                "nicegold.fill.quantity": event.quantity,
                "nicegold.fill.price": event.price,
                "nicegold.fill.commission": event.commission,
            }
        case _:
            said = {
                "nicegold.order.client_id": getattr(event, "order_id", ""),
                "nicegold.plugin.name": getattr(event, "plugin", ""),
                "nicegold.hook.name": getattr(event, "hook", ""),
                "event.reason": getattr(event, "reason", "") or getattr(event, "error", ""),
            }
    return {name: str(value) for name, value in said.items() if value not in ("", None)}


def _of_order(order: Order) -> dict[str, Any]:
    return {
        "nicegold.order.client_id": order.id,
        "nicegold.strategy.id": order.strategy,
        "nicegold.instrument.symbol": order.symbol,
        "nicegold.order.side": order.side,
        "nicegold.order.quantity": order.quantity,
        "nicegold.order.type": order.order_type,
        "nicegold.order.price": order.price,
        "nicegold.order.stop_price": order.stop_price,
    }
