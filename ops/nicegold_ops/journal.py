"""The record port: append-only blocks of events, chained by hash, durable before an order leaves.

A row is a block of one to some thousands of events as JSON lines. Market data that can be read
again are not copied: `MarketRead` says how many events of the feeds came at this point.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from nicegold import (
    Absent,
    Adopted,
    Bar,
    Busted,
    Cancel,
    Event,
    Fill,
    Finished,
    Halted,
    HaltLifted,
    Order,
    Quote,
    Replace,
    Snapshot,
    Started,
    Unknown,
)
from nicegold_ops.chain import GENESIS, MacKey, followed, link, mac_of
from nicegold_ops.errors import DataError
from nicegold_ops.store.place import Server, StoreFailed, open_store, place_of, readable, said
from nicegold_ops.store.tables import blocks, runs

#: The modes in which an order leaves the run.
LEAVES = frozenset({"paper", "live"})
_MARKET = frozenset({Bar, Quote})
#: With these a block is closed and on the disk before anything else happens.
_AT_ONCE = frozenset(
    {
        Started,
        Order,
        Cancel,
        Replace,
        Fill,
        Unknown,
        Absent,
        Busted,
        Adopted,
        Snapshot,
        Halted,
        HaltLifted,
        Finished,
    }
)
#: Events in a block before it is written anyway.
BLOCK_SIZE = 4000
#: PostgreSQL's serialization_failure and deadlock_detected: all of the transaction is undone, for sure.
_UNDONE = frozenset({"40001", "40P01"})
_TRIES = 5
#: Built once: building it costs as much as running it.
_ADD_BLOCK = blocks.insert()
_LAST_BEGUN = sa.select(sa.func.max(runs.c.started_at))


class JournalFailed(StoreFailed):
    """The journal cannot be written; nothing may leave."""


class MarketRead(Event, frozen=True, kw_only=True):
    """*events* bars and quotes of the run's sources came here, the last of them known at *time*."""

    events: int
    time: int


class Received(Event, frozen=True, kw_only=True):
    """The next event came from outside (a venue's execution); without it, events follow from inputs."""


#: As the encoder would write them: they come with most orders and most fills.
_MARKET_READ = b'{"event":"MarketRead","events":%d,"time":%d}\n'
_RECEIVED = b'{"event":"Received"}\n'
_SNAPSHOT = b'{"event":"Snapshot",'


class Run(msgspec.Struct, frozen=True):
    """One run in the journal: its id, its mode and when it began (ns UTC, after those before it).

    *mac_key* is the name of the key of its blocks' codes, "" where they have none.
    """

    run: str
    mode: str
    started_at: int
    mac_key: str = ""


def _kinds(parent: type[Event]) -> list[type[Event]]:
    children = parent.__subclasses__()
    return children + [kind for child in children for kind in _kinds(child)]


_encode_into = msgspec.json.Encoder().encode_into
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(reduce(or_, _kinds(Event)))


def journal_path(state: Path) -> Path:
    """Where the journal is in a *state* folder."""
    return state / "journal.sqlite"


def open_journal(
    place: Path | str | Server | None,
    *,
    durable: bool = True,
    connect: Callable[[], sqlite3.Connection] | None = None,
) -> sa.Engine:
    """The journal at *place*, a SQLite file, a PostgreSQL or None for the memory. See `open_store`."""
    return open_store(place, durable=durable, connect=connect)


class Journal:
    """Writes one run. *cause* is the cell in which the engine keeps the sequence of its input.

    *guard* is asked last in each transaction; it raises JournalFailed where this engine may not write. With
    *key*, each block has its code. After the first failure nothing is written any more: nobody can say
    whether that block is there.
    """

    def __init__(
        self,
        store: sa.Engine,
        run: Run,
        *,
        cause: list[int],
        durable: bool,
        by_reference: bool,
        guard: Callable[[sa.Connection], None] | None = None,
        key: MacKey | None = None,
    ) -> None:
        self._store = store
        self._run = run if key is None else replace(run, mac_key=key.name)
        self._key = key
        self._cause = cause
        self._durable = durable
        self._guard = guard
        self._failure: JournalFailed | None = None
        self.by_reference = by_reference
        # How many market events came that can be read again, and the time of the latest, by kind.
        self._bars, self._quotes = [0, 0], [0, 0]
        #: By kind, the cells in which such events are counted instead of being recorded.
        self.read: dict[type[Event], list[int]] = (
            {Bar: self._bars, Quote: self._quotes} if by_reference else {}
        )
        # Encoded as they come: kept, so many events would push what trading needs out of the caches.
        self._pending = bytearray()
        self._events = 0
        #: Of those market events, how many the journal speaks of; and the other events that it has.
        self._noted = self._recorded = 0
        self._first = 1
        self._number = 0
        self._digest = GENESIS
        self._commit(self._begin)

    @property
    def sequence(self) -> int:
        """How many events the run has so far, those included that are only counted."""
        return self._bars[0] + self._quotes[0] + self._recorded

    def record(self, event: Event) -> None:
        """Take *event*; on return it is where the run's kind of work needs it to be.

        Raises JournalFailed when it cannot be written; what was written before stays.
        """
        kind = type(event)
        unread = self._bars[0] + self._quotes[0] - self._noted
        if unread:
            self._note_market(unread)
        self._recorded += 1
        if self._cause[0] == self._noted + self._recorded and kind not in _MARKET:
            self._pending += _RECEIVED
            self._events += 1
        _encode_into(event, self._pending, -1)
        self._pending += b"\n"
        self._events += 1
        if (self._durable and kind in _AT_ONCE) or self._events >= BLOCK_SIZE:
            self.flush()

    def flush(self) -> None:
        """Write what waits as one block."""
        unread = self._bars[0] + self._quotes[0] - self._noted
        if unread:
            self._note_market(unread)
        if not self._pending:
            return
        payload = bytes(self._pending)
        digest = link(self._digest, payload)
        block: dict[str, Any] = {
            "run": self._run.run,
            "number": self._number,
            "first_sequence": self._first,
            "last_sequence": self._noted + self._recorded,
            "payload": payload,
            "digest": digest,
            "mac": mac_of(self._key, self._run.run, self._number, digest),
        }
        self._commit(lambda connection: self._add(connection, block))
        self._pending.clear()
        self._events = 0
        self._digest = digest
        self._number += 1
        self._first = block["last_sequence"] + 1

    def _note_market(self, unread: int) -> None:
        self._pending += _MARKET_READ % (unread, max(self._bars[1], self._quotes[1]))
        self._events += 1
        self._noted += unread

    def _begin(self, connection: sa.Connection) -> None:
        run = _after_the_last(connection, self._run) if self._durable else self._run
        connection.execute(runs.insert().values(**msgspec.structs.asdict(run)))

    def _add(self, connection: sa.Connection, block: dict[str, Any]) -> None:
        connection.execute(_ADD_BLOCK, block)

    def _commit(self, write: Callable[[sa.Connection], None], tries: int = _TRIES) -> None:
        """Do *write* in one transaction, and again where the database says that it undid it."""
        if self._failure is not None:
            raise self._failure
        try:
            with self._store.begin() as connection:
                write(connection)
                if self._guard is not None:
                    self._guard(connection)
        except sa.exc.DBAPIError as error:
            if tries > 1 and getattr(error.orig, "sqlstate", None) in _UNDONE:
                return self._commit(write, tries - 1)
            self._fail(error)
        except (DataError, JournalFailed) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        """Raise, now and from now on, that the journal failed."""
        self._failure = error if isinstance(error, JournalFailed) else _failed(self._store, error)
        raise self._failure from None


def _after_the_last(connection: sa.Connection, run: Run) -> Run:
    """*run*, begun after all others: a recovery goes on from the last, also where a clock was set back."""
    last = connection.execute(_LAST_BEGUN).scalar()
    return run if last is None or run.started_at > last else replace(run, started_at=last + 1)


def _failed(store: sa.Engine, error: Exception) -> JournalFailed:
    return JournalFailed(
        f"{place_of(store)}: the journal cannot be written: {said(error)}; trading has stopped, "
        "what was recorded before is kept"
    )


def all_runs(store: sa.Engine) -> list[Run]:
    """The runs in the journal, oldest first."""
    with readable(store), store.connect() as connection:
        rows = connection.execute(runs.select().order_by(runs.c.started_at, runs.c.run))
        return [Run(*row) for row in rows]


def find_run(store: sa.Engine, run: str | None) -> Run:
    """The run of that id, or the last one for None. Raises DataError that names what there is."""
    known = all_runs(store)
    if not known:
        raise DataError(f"{place_of(store)} holds no run yet")
    found = next((each for each in known if each.run == run), None) if run else known[-1]
    if found is None:
        last = ", ".join(each.run for each in known[-5:])
        raise DataError(f'{place_of(store)} holds no run "{run}"; the last ones are {last}')
    return found


def read(store: sa.Engine, run: str) -> Generator[Event, None, None]:
    """The events of *run* in their order. Raises DataError at the first block that is not sound."""
    market: MarketRead | None = None
    for event in _stored(store, run):
        # Where one block ends and the next begins is about time, not about what happened.
        if isinstance(event, MarketRead):
            before = market.events if market else 0
            market = MarketRead(events=before + event.events, time=event.time)
            continue
        if market is not None:
            yield market
            market = None
        yield event
    if market is not None:
        yield market


def numbered(events: Iterable[Event]) -> Iterator[tuple[int, Event]]:
    """What `read` gives, each event with its number in the run, without what is said about the reading."""
    sequence = 0
    for event in events:
        match event:
            case MarketRead():
                sequence += event.events
            case Received():
                pass
            case _:
                sequence += 1
                yield sequence, event


class Told(NamedTuple):
    """An event with its number in the run, and the number of the input that it follows from."""

    sequence: int
    cause: int
    event: Event


def caused(events: Iterable[Event]) -> Iterator[Told]:
    """What `numbered` gives, each with its cause: itself where it is an input."""
    cause, sequence, received = 0, 0, False
    for event in events:
        match event:
            case MarketRead():
                sequence += event.events
                cause = sequence
            case Received():
                received = True
            case _:
                sequence += 1
                if received or type(event) in _MARKET:
                    cause = sequence
                received = False
                yield Told(sequence, cause, event)


def tail(store: sa.Engine, run: str) -> Iterator[Event]:
    """The events of *run* from its last snapshot on; all of them when it has none.

    Raises DataError where a block of them is not sound.
    """
    first = _last_with_snapshot(store, run)
    found = False
    for event in _stored(store, run, first):
        found = found or first == 0 or isinstance(event, Snapshot)
        if found:
            yield event


def _last_with_snapshot(store: sa.Engine, run: str) -> int:
    """The number of the last block that holds a snapshot; 0 when there is none."""
    newest = blocks.select().where(blocks.c.run == run).order_by(blocks.c.number.desc())
    with _streamed(store, newest, 10) as rows:
        return next((row.number for row in rows if _SNAPSHOT in bytes(row.payload or b"")), 0)


def verify(store: sa.Engine, run: str) -> int:
    """The sequence with which *run* ends, 0 before its first event; none of its events is decoded.

    Raises DataError at the first block that is not sound.
    """
    last = 0
    for block in _sound(store, run):
        last = block.last_sequence
    return last


def _stored(store: sa.Engine, run: str, first: int = 0) -> Iterator[Event]:
    for block in _sound(store, run, first):
        try:
            events = _decoder.decode_lines(block.payload)
        except ValueError as error:  # its digest is right: it was written by something else
            raise DataError(
                f"{place_of(store)}: block {block.number} of run {run} cannot be read: {error}"
            ) from None
        yield from events


def _sound(store: sa.Engine, run: str, first: int = 0) -> Iterator[Any]:
    """The blocks of *run* from the one of the number *first* on, their chain followed."""
    digest = GENESIS if first == 0 else _digest_of(store, run, first - 1)
    return followed(
        _rows(store, run, first),
        first,
        digest,
        lambda number: (
            f"{place_of(store)}: block {number} of run {run} is missing or was changed; "
            "the events before it are sound"
        ),
    )


def _digest_of(store: sa.Engine, run: str, number: int) -> bytes:
    query = sa.select(blocks.c.digest).where(blocks.c.run == run, blocks.c.number == number)
    with readable(store), store.connect() as connection:
        return bytes(connection.execute(query).scalar() or b"")


def _rows(store: sa.Engine, run: str, first: int = 0) -> Iterator[Any]:
    query = blocks.select().where(blocks.c.run == run, blocks.c.number >= first).order_by(blocks.c.number)
    with _streamed(store, query, 100) as rows:
        yield from rows


@contextmanager
def _streamed(store: sa.Engine, query: sa.Select[Any], at_once: int) -> Iterator[Iterable[Any]]:
    """The rows of *query*, so many at once. They are let go of also where nobody reads to the end."""
    with (
        readable(store),
        store.connect().execution_options(yield_per=at_once) as connection,
        connection.execute(query) as rows,
    ):
        yield rows


def payloads(store: sa.Engine, run: str) -> bytes:
    """The bytes of all events of *run*: two runs that did the same have the same."""
    return b"".join(block.payload for block in _rows(store, run))
