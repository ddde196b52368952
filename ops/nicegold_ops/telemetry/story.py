"""What a session tells, as lines of its log, each under the trace of its cycle.

Who reads only the log sees what happened. Where more happens than anybody reads, it says how much more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nicegold import (
    Absent,
    Break,
    Busted,
    Event,
    Expired,
    Fill,
    Halted,
    Order,
    PluginFailed,
    Refused,
    Rejected,
    Unknown,
    Vetoed,
)
from nicegold_ops.audit.document import KINDS
from nicegold_ops.telemetry.logs import logger
from nicegold_ops.trace import span_id, trace_id

#: Lines of one telling.
_MOST = 50
#: Of these somebody may have to be told. None is an error: those go to Sentry, and failures do by themselves.
_WARNINGS = frozenset(
    {Absent, Break, Busted, Expired, Halted, PluginFailed, Refused, Rejected, Unknown, Vetoed}
)
_log = logger("engine")


class Story:
    """The lines of one *run*."""

    def __init__(self, run: str) -> None:
        self._run = run

    def tell(self, told: Mapping[int, Iterable[Event]]) -> None:
        """Log what was *told*, by the number of the input that it follows from."""
        lines = [(cause, event) for cause, events in told.items() for event in events]
        for cause, event in lines[:_MOST]:
            say = _log.warning if type(event) in _WARNINGS else _log.info
            say(_words(event), **self._fields(cause, event))
        if len(lines) > _MOST:
            _log.info(f"and {len(lines) - _MOST:,} more; the journal has all of it")

    def _fields(self, cause: int, event: Event) -> dict[str, str]:
        trace = trace_id(self._run, cause)
        kind = KINDS.get(type(event).__name__)
        said = {
            "event.action": "" if kind is None else kind.action,
            "nicegold.run.id": self._run,
            "nicegold.order.client_id": _order_of(event),
            "nicegold.plugin.name": getattr(event, "plugin", ""),
            "trace.id": trace,
            "span.id": span_id(trace),
        }
        return {name: value for name, value in said.items() if value}


def _order_of(event: Event) -> str:
    match event:
        case Order():
            return event.id
        case Vetoed():
            return event.order.id
        case _:
            return str(getattr(event, "order_id", ""))


def _words(event: Event) -> str:
    match event:
        case Order():
            return f"order {event.id}: {event.side} {event.quantity} {event.symbol}"
        case Vetoed():
            why = "; ".join(f"{each.plugin}: {each.reason}" for each in event.objections)
            return f"order {event.order.id} vetoed: {why}"
        case Fill():
            return f"order {event.order_id} filled: {event.quantity} at {event.price}"
        case Halted():
            return f"halted by {event.plugin}: {event.reason}"
        case PluginFailed():
            return f"{event.plugin}.{event.hook} failed: {event.error}"
        case _:
            about = _order_of(event)
            reason = getattr(event, "reason", "")
            name = type(event).__name__.lower()
            return (f"order {about} {name}" if about else name) + (f": {reason}" if reason else "")
