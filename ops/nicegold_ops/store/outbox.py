"""What others are to be told of a run, written with it, and how far each reader has come.

A reader takes what comes after its cursor (`outbox_after`), hands it on and then moves the cursor: what
it hands on may come twice, and is known again by run and sequence.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import msgspec
import sqlalchemy as sa

from nicegold import Bar, Event, Quote, Snapshot, Started
from nicegold_ops.journal import Told
from nicegold_ops.store.tables import cursors, insert_into, outbox

#: The market is everybody's, and a snapshot says again what was said before.
_UNTOLD = frozenset({Bar, Quote, Snapshot})
_encode = msgspec.json.Encoder().encode


def publish(connection: sa.Connection, run: str, events: Iterable[Told], *, created_at: int) -> None:
    """Put *events* of *run* into the outbox, in the transaction of *connection*; *created_at* is ns UTC.

    The topic is the kind of event. What is there already stays as it is.
    """
    rows = [
        {
            "run": run,
            "sequence": sequence,
            "topic": type(event).__name__,
            "payload": payload_of(event),
            "created_at": created_at,
            "cause": cause,
        }
        for sequence, cause, event in events
        if is_public(event)
    ]
    if rows:
        connection.execute(_add(connection.dialect.name), rows)


def is_public(event: Event) -> bool:
    """Whether others are told of *event*."""
    return type(event) not in _UNTOLD


def payload_of(event: Event) -> bytes:
    """What they are told."""
    return _encode(_public(event))


def cursor_of(connection: sa.Connection, reader: str, run: str) -> int:
    """The number of the last event of *run* that *reader* is done with; 0 before the first."""
    query = sa.select(cursors.c.sequence).where(cursors.c.reader == reader, cursors.c.run == run)
    return connection.execute(query).scalar() or 0


def move_cursor(connection: sa.Connection, reader: str, run: str, sequence: int) -> None:
    """Note that *reader* is done with *run* up to *sequence*; it never goes back."""
    insert = insert_into(cursors, connection.dialect.name)
    connection.execute(
        insert.values(reader=reader, run=run, sequence=sequence).on_conflict_do_update(
            index_elements=[cursors.c.reader, cursors.c.run],
            set_={"sequence": sequence},
            where=cursors.c.sequence < sequence,
        )
    )


def discard(connection: sa.Connection, run: str, sequence: int) -> None:
    """Remove what was told of *run* up to *sequence*, once no reader will ask for it again."""
    connection.execute(outbox.delete().where(outbox.c.run == run, outbox.c.sequence <= sequence))


@cache
def _add(database: str) -> sa.Executable:
    return insert_into(outbox, database).on_conflict_do_nothing()


def _public(event: Event) -> Event:
    """*event* without the configuration of a run, in which there may be secrets."""
    return msgspec.structs.replace(event, configuration="") if isinstance(event, Started) else event
