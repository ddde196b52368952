"""What people did to trading, on record before it was done: in a chain of its own beside the journal's.

Who did it is an id. Their name is sealed in the record that first speaks of them, under a key of theirs
alone: once that is destroyed nobody reads the name again, in no copy, and the chain is as sound as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa

from nicegold_ops.chain import GENESIS, MacKey, followed, link, mac_of
from nicegold_ops.envelope import Envelope
from nicegold_ops.errors import DataError
from nicegold_ops.store.place import place_of, readable, written
from nicegold_ops.store.tables import actions

#: What the chain is called where chains are named.
CHAIN = "actions"
#: What keeps all others from writing until the end of the transaction.
_ALONE = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "LOCK TABLE actions IN EXCLUSIVE MODE"}
_encode = msgspec.json.Encoder().encode
_NEWEST = sa.select(actions.c.number, actions.c.digest).order_by(actions.c.number.desc()).limit(1)


class Sealed(msgspec.Struct, frozen=True):
    """A name in an *envelope*, which only the key of that name opens; see `people.py`."""

    key: str
    envelope: Envelope


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that the person *subject* did at *time* (ns UTC), and why.

    *about* is another person, *run* the run that it was done to, *before* and *after* are digests (SHA-256,
    hexadecimal) of what was changed. With *sealed*, it is what they are called.
    """

    time: int
    action: str
    subject: str
    reason: str = ""
    run: str = ""
    about: str = ""
    before: str = ""
    after: str = ""
    sealed: Sealed | None = None


class Block(msgspec.Struct, frozen=True):
    """An action as it is stored."""

    number: int
    payload: bytes
    digest: bytes
    created_at: int
    mac: bytes | None
    mac_key: str


_decoder = msgspec.json.Decoder(Action)
_COLUMNS = [actions.c[name] for name in Block.__struct_fields__]


def record(store: sa.Engine, action: Action, key: MacKey | None = None) -> None:
    """Put *action* on record, with a code by *key*; on return it is on the disk. Raises StoreFailed."""
    with written(store) as connection:
        # What comes next is made of what was last: nobody may come in between.
        connection.exec_driver_sql(_ALONE[store.dialect.name])
        connection.execute(actions.insert(), _next(connection, _encode(action), action.time, key))


def _next(connection: sa.Connection, payload: bytes, time: int, key: MacKey | None) -> dict[str, Any]:
    last = connection.execute(_NEWEST).first()
    number, before = (0, GENESIS) if last is None else (last.number + 1, bytes(last.digest))
    digest = link(before, payload)
    return {
        "number": number,
        "payload": payload,
        "digest": digest,
        "created_at": time,
        "mac": mac_of(key, CHAIN, number, digest),
        "mac_key": "" if key is None else key.name,
    }


def stored(store: sa.Engine, after: int = -1, *, limit: int | None = None) -> list[Block]:
    """The actions after the one of the number *after*, *limit* at most, as they are stored."""
    query = sa.select(*_COLUMNS).where(actions.c.number > after).order_by(actions.c.number).limit(limit)
    with readable(store), store.connect() as connection:
        return [Block(*row) for row in connection.execute(query)]


def read(store: sa.Engine) -> Iterator[Block]:
    """All actions, their chain followed. Raises DataError at the first that is not sound."""
    return followed(
        stored(store),
        0,
        GENESIS,
        lambda number: (
            f"{place_of(store)}: action {number} is missing or was changed; those before it are sound"
        ),
    )


def action_of(block: Block) -> Action:
    """What *block* says. Raises DataError where it is no such block."""
    try:
        return _decoder.decode(block.payload)
    except ValueError as error:
        raise DataError(f"action {block.number} cannot be read: {error}") from None
