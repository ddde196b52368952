"""The fields of an audit document, each with its type in Elasticsearch. No other is taken.

Names are ECS's where it has one; the rest is below `nicegold.` and speaks FIX. What was agreed on is text,
digit by digit; a number to sort and to add by stands beside it, named `*_value`.
"""

from __future__ import annotations

from typing import Any

ECS = "9.0.0"

#: Found whole, or by its beginning.
_KEYWORD = {"type": "keyword", "ignore_above": 1024}
#: Found by its words.
_WORDS = {"type": "text"}
_DATE = {"type": "date"}
_LONG = {"type": "long"}
# No scaled_float, which is a module's and not in each Elasticsearch.
_NUMBER = {"type": "double"}
#: Kept, not searched.
_KEPT = {"type": "keyword", "index": False, "doc_values": False}

FIELDS: dict[str, dict[str, Any]] = {
    # When the event was put on record.
    "@timestamp": _DATE,
    "ecs.version": _KEYWORD,
    "event.id": _KEYWORD,
    "event.kind": _KEYWORD,
    "event.category": _KEYWORD,
    "event.type": _KEYWORD,
    "event.action": _KEYWORD,
    "event.outcome": _KEYWORD,
    "event.reason": _WORDS,
    "event.provider": _KEYWORD,
    "event.dataset": _KEYWORD,
    # The number in the writer's order, SHA-256 of what is on record, and that itself.
    "event.sequence": _LONG,
    "event.hash": _KEYWORD,
    "event.original": _KEPT,
    # A call: when it began, and ns that it took.
    "event.start": _DATE,
    "event.duration": _LONG,
    "service.name": _KEYWORD,
    "service.version": _KEYWORD,
    "trace.id": _KEYWORD,
    "span.id": _KEYWORD,
    "error.message": _WORDS,
    # Who did it, and to whom: ids. A name is in the ciphertext only.
    "user.id": _KEYWORD,
    "user.target.id": _KEYWORD,
    "related.user": _KEYWORD,
    "nicegold.actor.type": _KEYWORD,
    "nicegold.pii.key_id": _KEYWORD,
    "nicegold.pii.ciphertext": _KEPT,
    "nicegold.config.before_hash": _KEYWORD,
    "nicegold.config.after_hash": _KEYWORD,
    # Who wrote it: a run, or the reader of its calls.
    "nicegold.audit.writer.id": _KEYWORD,
    "nicegold.run.id": _KEYWORD,
    # The trace of the input in which it happened; `trace.id` is that of the order which it is about.
    "nicegold.cycle.cause": _LONG,
    "nicegold.cycle.trace.id": _KEYWORD,
    # The market's time, which in a paper session may be another year's.
    "nicegold.market.time": _DATE,
    "nicegold.strategy.id": _KEYWORD,
    "nicegold.instrument.symbol": _KEYWORD,
    "nicegold.plugin.name": _KEYWORD,
    "nicegold.hook.name": _KEYWORD,
    "nicegold.order.client_id": _KEYWORD,
    "nicegold.order.venue_id": _KEYWORD,
    "nicegold.order.parent_id": _KEYWORD,
    "nicegold.order.side": _KEYWORD,
    "nicegold.order.type": _KEYWORD,
    "nicegold.order.tif": _KEYWORD,
    "nicegold.order.quantity": _KEYWORD,
    "nicegold.order.quantity_value": _NUMBER,
    "nicegold.order.price": _KEYWORD,
    "nicegold.order.price_value": _NUMBER,
    "nicegold.order.stop_price": _KEYWORD,
    "nicegold.order.stop_price_value": _NUMBER,
    "nicegold.fill.id": _KEYWORD,
    "nicegold.fill.quantity": _KEYWORD,
    "nicegold.fill.quantity_value": _NUMBER,
    "nicegold.fill.price": _KEYWORD,
    "nicegold.fill.price_value": _NUMBER,
    "nicegold.fill.commission": _KEYWORD,
    "nicegold.fill.commission_value": _NUMBER,
    # Who objected.
    "nicegold.risk.rule": _KEYWORD,
    # Where our books and the venue's differ.
    "nicegold.reconciliation.kind": _KEYWORD,
    "nicegold.reconciliation.about": _KEYWORD,
    "nicegold.reconciliation.ours": _KEYWORD,
    "nicegold.reconciliation.theirs": _KEYWORD,
    # Calls that were counted together: the first and the last, how they went, SHA-256 of their records.
    "nicegold.calls.first": _LONG,
    "nicegold.calls.last": _LONG,
    "nicegold.calls.missed": _LONG,
    "nicegold.calls.success": _LONG,
    "nicegold.calls.vetoed": _LONG,
    "nicegold.calls.error": _LONG,
    "nicegold.calls.sha256": _KEYWORD,
}


def mapping() -> dict[str, Any]:
    """Elasticsearch's mapping of a document. What has a field that is not in it is refused."""
    root: dict[str, Any] = {"dynamic": "strict", "properties": {}}
    for name, kind in FIELDS.items():
        place = root
        *parents, leaf = name.split(".")
        for parent in parents:
            place = place["properties"].setdefault(parent, {"dynamic": "strict", "properties": {}})
        place["properties"][leaf] = kind
    return root
