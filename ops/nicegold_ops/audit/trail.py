"""The audit trail of a store: its documents, run by run, from a place on that a reader has come to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from nicegold_ops import actions
from nicegold_ops.actions import CHAIN
from nicegold_ops.audit.document import Document, Told, of_action, of_calls, of_event
from nicegold_ops.calls import blocks_of, stored
from nicegold_ops.store.outbox import cursor_of, move_cursor
from nicegold_ops.store.queries import (
    Message,
    outbox_after,
    runs_behind,
    runs_with_calls_behind,
    traceparents,
)

#: What the reader of calls is called beside the reader of events of the same name.
_CALLS = "{}/calls"
#: Events, or blocks of calls of up to some hundred calls, at once.
EVENTS, BLOCKS = 1000, 1


class Page(NamedTuple):
    """Documents of one run. When they have arrived, the cursor of *reader* is moved to *last*."""

    reader: str
    run: str
    last: int
    documents: list[Document]


def pages(store: sa.Engine, reader: str) -> Iterator[Page]:
    """A page of each run of which *reader* has something to read."""
    with store.connect() as connection:
        events = runs_behind(connection, reader)
        blocks = runs_with_calls_behind(connection, _CALLS.format(reader))
        done_with = cursor_of(connection, reader, CHAIN)
    for run, cursor in events.items():
        yield _events(store, reader, run, cursor)
    for run, cursor in blocks.items():
        # A cursor counts from 1, blocks from 0.
        found = blocks_of(store, run, cursor - 1, limit=BLOCKS)
        documents = [document for block in found for document in of_calls(block)]
        yield Page(_CALLS.format(reader), run, found[-1].number + 1, documents)
    deeds = actions.stored(store, done_with - 1, limit=EVENTS)
    if deeds:
        yield Page(reader, CHAIN, deeds[-1].number + 1, [of_action(each) for each in deeds])


def done(store: sa.Engine, page: Page) -> None:
    """*page* has arrived."""
    with store.begin() as connection:
        move_cursor(connection, page.reader, page.run, page.last)


def documents(store: sa.Engine, run: str) -> Iterator[Document]:
    """All documents of *run*: its events in their order, then how plugins were called."""
    last = 0
    while (page := _events(store, "", run, last)).documents:
        yield from page.documents
        last = page.last
    for block in stored(store, run):
        yield from of_calls(block)


def deeds(store: sa.Engine) -> Iterator[Document]:
    """What people did, in its order."""
    return map(of_action, actions.stored(store))


def messages(store: sa.Engine, run: str, *, limit: int = EVENTS) -> Iterator[Message]:
    """What others are told of *run*, as it is in the outbox, *limit* in memory at once."""
    last = 0
    while page := _told_after(store, run, last, limit):
        yield from page
        last = page[-1].sequence


def _told_after(store: sa.Engine, run: str, last: int, limit: int) -> list[Message]:
    with store.connect() as connection:
        return outbox_after(connection, run, last, limit=limit)


def _events(store: sa.Engine, reader: str, run: str, cursor: int) -> Page:
    with store.connect() as connection:
        messages = [Told(each) for each in outbox_after(connection, run, cursor, limit=EVENTS)]
        parents = traceparents(connection, run, {each.order_id for each in messages if each.order_id})
    last = messages[-1].message.sequence if messages else cursor
    return Page(reader, run, last, [of_event(each, parents) for each in messages])
