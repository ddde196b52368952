"""Audit documents: an event on record, a call of a plugin or a count of calls, as ECS's flat names.

A document is made of what is on record, and names the version that made it: this nicegold makes the same one
each time. Its id is the same whoever makes it, so that who gets it twice has it once.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple, TypeAlias

import msgspec

from nicegold_ops.actions import CHAIN, Block, action_of
from nicegold_ops.audit.fields import ECS
from nicegold_ops.calls import Line, lines_of
from nicegold_ops.store.queries import CallBlock, Message
from nicegold_ops.telemetry.cycles import Count, Cycle
from nicegold_ops.trace import span_id, trace_id, trace_of

Document: TypeAlias = dict[str, Any]
_decode = msgspec.json.Decoder().decode


class Kind(NamedTuple):
    """What ECS says of a topic."""

    action: str
    category: str = "api"
    type: str = "info"
    outcome: str = "success"

    @property
    def said(self) -> Document:
        """The same by ECS's names."""
        return {
            "event.category": [self.category],
            "event.type": [self.type],
            "event.action": self.action,
            "event.outcome": self.outcome,
        }


#: By the topic of an event.
KINDS = {
    "Order": Kind("order.submitted", type="start"),
    "Vetoed": Kind("order.vetoed", type="denied", outcome="failure"),
    "Placed": Kind("order.placed"),
    "Accepted": Kind("order.accepted", type="allowed"),
    "Rejected": Kind("order.rejected", type="denied", outcome="failure"),
    "Triggered": Kind("order.triggered", type="change"),
    "Fill": Kind("order.filled", type="change"),
    "Cancel": Kind("order.cancel_requested"),
    "Canceled": Kind("order.canceled", type="end"),
    "CancelRejected": Kind("order.cancel_rejected", type="denied", outcome="failure"),
    "Replace": Kind("order.replace_requested"),
    "Replaced": Kind("order.replaced", type="change"),
    "Expired": Kind("order.expired", type="end"),
    "Unknown": Kind("order.unknown", type="error", outcome="unknown"),
    "Absent": Kind("order.absent"),
    "Found": Kind("order.found"),
    "Busted": Kind("fill.busted", type="change"),
    "Swap": Kind("position.swapped"),
    "Break": Kind("reconciliation.broken", type="error", outcome="failure"),
    "Mended": Kind("reconciliation.mended"),
    "Adopted": Kind("reconciliation.adopted", category="configuration", type="change"),
    "Reconciled": Kind("reconciliation.agreed"),
    "PluginFailed": Kind("plugin.failed", type="error", outcome="failure"),
    "Refused": Kind("market.refused", type="denied", outcome="failure"),
    "Halted": Kind("engine.halted", category="configuration", type="change"),
    "HaltLifted": Kind("engine.halt_lifted", category="configuration", type="change"),
    "Started": Kind("engine.started", category="process", type="start"),
    "Finished": Kind("engine.finished", category="process", type="end"),
}
#: The same of what people do.
DEEDS = {
    "approval.granted": Kind("approval.granted", category="configuration", type="change"),
    "halt.lifted": Kind("halt.lifted", category="configuration", type="change"),
    "venue.adopted": Kind("venue.adopted", category="configuration", type="change"),
    "subject.registered": Kind("subject.registered", category="iam", type="creation"),
    "subject.erased": Kind("subject.erased", category="iam", type="deletion"),
}
#: What the field of an event is called in its document.
_NAMES = {
    "order_id": "nicegold.order.client_id",
    "venue_order_id": "nicegold.order.venue_id",
    "strategy": "nicegold.strategy.id",
    "symbol": "nicegold.instrument.symbol",
    "plugin": "nicegold.plugin.name",
    "broker": "nicegold.plugin.name",
    "hook": "nicegold.hook.name",
    "side": "nicegold.order.side",
    "trade_id": "nicegold.fill.id",
    "reason": "event.reason",
    "error": "error.message",
    "kind": "nicegold.reconciliation.kind",
    "about": "nicegold.reconciliation.about",
    "ours": "nicegold.reconciliation.ours",
    "theirs": "nicegold.reconciliation.theirs",
    "version": "service.version",
}
_OF_ORDER = {
    **_NAMES,
    "id": "nicegold.order.client_id",
    "parent": "nicegold.order.parent_id",
    "order_type": "nicegold.order.type",
    "time_in_force": "nicegold.order.tif",
    "quantity": "nicegold.order.quantity",
    "price": "nicegold.order.price",
    "stop_price": "nicegold.order.stop_price",
}
_OF_FILL = {
    **_NAMES,
    "quantity": "nicegold.fill.quantity",
    "price": "nicegold.fill.price",
    "commission": "nicegold.fill.commission",
}
_BY_TOPIC = {"Order": _OF_ORDER, "Replace": _OF_ORDER, "Replaced": _OF_ORDER, "Fill": _OF_FILL}
_NUMBERS = frozenset({"quantity", "price", "stop_price", "commission"})
#: Outcomes of a call, as ECS has them; an objection is an answer.
_OUTCOMES = {"success": "success", "vetoed": "success", "error": "failure"}


class Told:
    """An event that others are told: as it is in the outbox, and as what that says."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.event: dict[str, Any] = _decode(message.payload)
        #: The order that it is about, "" for none.
        self.order_id: str = self.event.get("id" if message.topic == "Order" else "order_id", "")


def of_event(told: Told, parents: Mapping[str, str]) -> Document:
    """The document of an event. *parents* has the traceparents of orders, by their ids."""
    message, event = told.message, told.event
    kind = KINDS.get(message.topic) or Kind(f"event.{message.topic.lower()}")
    cycle = trace_id(message.run, message.cause) if message.cause else ""
    document = {
        **_head(message.run, message.run, str(message.sequence), message.created_at),
        **kind.said,
        "event.sequence": message.sequence,
        "event.hash": hashlib.sha256(message.payload).hexdigest(),
        "event.original": message.payload.decode(),
        "nicegold.cycle.cause": message.cause,
        "nicegold.cycle.trace.id": cycle,
    }
    document["trace.id"] = trace = trace_of(parents.get(told.order_id, "")) or cycle
    document["span.id"] = (
        span_id(trace, "order", told.order_id) if told.order_id else span_id(trace)
    ) * bool(trace)
    if event.get("time"):
        document["nicegold.market.time"] = _instant(event["time"])
    _fill_in(document, event, _BY_TOPIC.get(message.topic, _NAMES))
    if message.topic == "Vetoed":
        _add_veto(document, event)
    return {name: value for name, value in document.items() if value != ""}


def of_calls(block: CallBlock) -> Iterator[Document]:
    """The documents of a block of calls: one for each call and each count."""
    number = 0
    for line in lines_of(block):
        for said in _said(block.run, line):
            yield {
                **_head(block.run, f"{block.run}/calls", f"{block.number}/{number}", block.created_at),
                "event.category": ["api"],
                "event.type": ["info"],
                "event.sequence": block.number,
                "event.hash": block.digest.hex(),
                **said,
            }
            number += 1


def of_action(block: Block) -> Document:
    """The document of what a person did."""
    action = action_of(block)
    kind = DEEDS.get(action.action, Kind(action.action, category="configuration", type="change"))
    document = {
        **_head(action.run, CHAIN, str(block.number), block.created_at),
        **kind.said,
        "event.sequence": block.number,
        "event.hash": block.digest.hex(),
        "event.original": block.payload.decode(),
        "event.reason": action.reason,
        "user.id": action.subject,
        "user.target.id": action.about,
        "related.user": [each for each in (action.subject, action.about) if each],
        "nicegold.actor.type": "human",
        "nicegold.config.before_hash": action.before,
        "nicegold.config.after_hash": action.after,
    }
    if action.sealed is not None:
        document["nicegold.pii.key_id"] = action.sealed.key
        document["nicegold.pii.ciphertext"] = b64encode(action.sealed.envelope.content).decode()
    return {name: value for name, value in document.items() if value != ""}


def _said(run: str, line: Line) -> list[Document]:
    match line:
        case Cycle():
            trace = trace_id(run, line.cause)
            return [_call(trace, call) for call in line.calls]
        case Count():
            return [_count(line)]


def event_id(time: int, writer: str, place: str) -> str:
    """A UUID of version 7 for *time* (ns UTC), always the same for what *writer* wrote at *place*."""
    digest = hashlib.blake2b(f"{writer}\0{place}".encode(), digest_size=10, person=b"nicegold.event/1")
    chance = int.from_bytes(digest.digest(), "big")
    made = (time // 1_000_000 & (1 << 48) - 1) << 80 | 7 << 76 | (chance >> 64 & 0xFFF) << 64
    made |= 2 << 62 | chance & (1 << 62) - 1
    digits = f"{made:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _head(run: str, writer: str, place: str, time: int) -> Document:
    return {
        "@timestamp": _instant(time),
        "ecs.version": ECS,
        "event.id": event_id(time, writer, place),
        "event.kind": "event",
        "event.provider": "nicegold",
        "event.dataset": "nicegold.audit",
        "service.name": "nicegold",
        "service.version": _version(),
        "nicegold.audit.writer.id": writer,
        "nicegold.run.id": run,
    }


def _fill_in(document: Document, event: Mapping[str, Any], names: Mapping[str, str]) -> None:
    for name, value in event.items():
        field = names.get(name)
        if field is None or value is None:
            continue
        document[field] = value
        if name in _NUMBERS:
            document[f"{field}_value"] = float(value)


def _add_veto(document: Document, vetoed: Mapping[str, Any]) -> None:
    _fill_in(document, vetoed["order"], _OF_ORDER)
    document["nicegold.risk.rule"] = [each["plugin"] for each in vetoed["objections"]]
    document["event.reason"] = "; ".join(each["reason"] for each in vetoed["objections"])


def _call(trace: str, call: Any) -> Document:
    return {
        "event.action": "hook.called",
        "event.outcome": _OUTCOMES[call.outcome],
        "event.reason": call.outcome,
        "event.start": _instant(call.start),
        "event.duration": call.duration,
        "trace.id": trace,
        "span.id": span_id(trace, call.hook, call.plugin, call.sequence),
        "nicegold.cycle.cause": call.cause,
        "nicegold.cycle.trace.id": trace,
        "nicegold.hook.name": call.hook,
        "nicegold.plugin.name": call.plugin,
    }


def _count(count: Count) -> Document:
    return {
        "event.action": "hook.counted",
        "event.outcome": "failure" if count.error else "success",
        "event.duration": count.nanoseconds,
        "nicegold.hook.name": count.hook,
        "nicegold.plugin.name": count.plugin,
        **{
            f"nicegold.calls.{name}": getattr(count, name)
            for name in ("first", "last", "missed", "success", "vetoed", "error", "sha256")
        },
    }


def _instant(time: int) -> str:
    seconds, rest = divmod(time, 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1_000_000:03d}Z"


@cache
def _version() -> str:
    return version("nicegold")


def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
