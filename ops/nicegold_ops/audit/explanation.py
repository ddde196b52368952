"""Why an order is what it is: the input it came from, each call that led to it, and all that became of it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import sqlalchemy as sa

from nicegold_ops.audit.document import Document, Told, of_calls, of_event
from nicegold_ops.audit.trail import messages
from nicegold_ops.calls import stored
from nicegold_ops.errors import DataError
from nicegold_ops.store.queries import newest_runs, traceparents


class Explanation(msgspec.Struct, frozen=True):
    """An order of *run* and its *trace*.

    *calls* are those of the cycle it came from, by their start; *events* what was told of it, in their order.
    """

    run: str
    order: str
    trace: str
    cause: int
    calls: list[Document]
    events: list[Document]


def explain(store: sa.Engine, order_id: str, run: str | None = None) -> Explanation:
    """The order of that id, of *run* or else of the newest run that has one.

    Raises DataError when there is none.
    """
    for each in _runs(store, run):
        events = list(_events(store, each, order_id))
        if not events:
            continue
        cause = events[0]["nicegold.cycle.cause"]
        calls = list(_calls(store, each, cause))
        return Explanation(each, order_id, events[0].get("trace.id", ""), cause, calls, events)
    place = "no run" if run is None else f"run {run}"
    raise DataError(f'{place} has told of an order "{order_id}"; `nicegold audit search` shows what there is')


def _runs(store: sa.Engine, run: str | None) -> Iterator[str]:
    if run is not None:
        yield run
        return
    before = None
    while True:
        with store.connect() as connection:
            page = newest_runs(connection, before=before)
        if not page:
            return
        yield from (each.run for each in page)
        before = page[-1]


def _events(store: sa.Engine, run: str, order_id: str) -> Iterator[Document]:
    """What was told of the order, its veto included."""
    named = msgspec.json.encode(order_id)
    with store.connect() as connection:
        parents = traceparents(connection, run, [order_id])
    for message in messages(store, run, limit=10_000):
        # Most are about others, and need not be read.
        if named in message.payload:
            document = of_event(Told(message), parents)
            if document.get("nicegold.order.client_id") == order_id:
                yield document


def _calls(store: sa.Engine, run: str, cause: int) -> Iterator[Document]:
    """The calls of the cycle of *cause*, where it is on record."""
    named = b'"cause":%d,' % cause
    for block in stored(store, run):
        if named in block.payload:
            yield from (each for each in of_calls(block) if each.get("nicegold.cycle.cause") == cause)
