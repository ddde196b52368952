"""The record port: append-only blocks of events, chained by hash, durable before an order leaves.

A row is a block of one to some thousands of events as JSON lines. Market data that can be read
again are not copied: `MarketRead` says how many events of the feeds came at this point.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from nicegold import (
    Absent,
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
from nicegold_ops.errors import DataError, NicegoldError

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
        Snapshot,
        Halted,
        HaltLifted,
        Finished,
    }
)
#: Events in a block before it is written anyway.
BLOCK_SIZE = 4000
_GENESIS = bytes(32)

metadata = sa.MetaData()
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("mode", sa.String, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
)
blocks = sa.Table(
    "blocks",
    metadata,
    sa.Column("run", sa.String, sa.ForeignKey("runs.run"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("first_sequence", sa.BigInteger, nullable=False),
    sa.Column("last_sequence", sa.BigInteger, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
)


class JournalFailed(NicegoldError):
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
    """One run in the journal: its id, its mode and when it began (ns UTC)."""

    run: str
    mode: str
    started_at: int


def _kinds(parent: type[Event]) -> list[type[Event]]:
    children = parent.__subclasses__()
    return children + [kind for child in children for kind in _kinds(child)]


_encode_into = msgspec.json.Encoder().encode_into
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(reduce(or_, _kinds(Event)))


def journal_path(state: Path) -> Path:
    """Where the journal is in a *state* folder."""
    return state / "journal.sqlite"


def open_journal(path: Path | None, *, durable: bool = True) -> sa.Engine:
    """The journal in the SQLite file *path*, made when missing; in memory for None.

    *durable* is whether a commit waits for the disk. Raises DataError when the file is no journal.
    """
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{path}" if path else "sqlite://")

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        # A block is one row: of some hundred bytes in a session, of some hundred thousand in a backtest.
        # Larger pages take a quarter off writing the latter, and a tenth more for the former. For a new file.
        connection.execute("PRAGMA page_size = 32768")
        connection.execute("PRAGMA journal_mode = WAL")
        # What left nothing outside can be run again, so it need not survive the loss of power.
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")

    try:
        metadata.create_all(engine)
    except sa.exc.OperationalError as error:
        engine.dispose()
        raise JournalFailed(f"{path}: the journal cannot be opened: {error.orig}") from None
    # SQLite's message is not text where it quotes what is damaged.
    except (sa.exc.DatabaseError, UnicodeDecodeError) as error:
        engine.dispose()
        raise DataError(
            f"{path} is not a journal: {_said(error)}; move it away, or name another folder in [run] state"
        ) from None
    return engine


class Journal:
    """Writes one run. *cause* is the cell in which the engine keeps the sequence of its input."""

    def __init__(
        self,
        store: sa.Engine,
        run: Run,
        *,
        cause: list[int],
        durable: bool,
        by_reference: bool,
    ) -> None:
        self._store = store
        self._run = run
        self._cause = cause
        self._durable = durable
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
        self._digest = _GENESIS
        with self._transaction() as connection:
            connection.execute(runs.insert().values(**msgspec.structs.asdict(run)))

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
        sequence = self._noted + self._recorded
        payload = bytes(self._pending)
        digest = hashlib.sha256(self._digest + payload).digest()
        with self._transaction() as connection:
            connection.execute(
                blocks.insert().values(
                    run=self._run.run,
                    number=self._number,
                    first_sequence=self._first,
                    last_sequence=sequence,
                    payload=payload,
                    digest=digest,
                )
            )
        self._pending.clear()
        self._events = 0
        self._digest = digest
        self._number += 1
        self._first = sequence + 1

    def _note_market(self, unread: int) -> None:
        self._pending += _MARKET_READ % (unread, max(self._bars[1], self._quotes[1]))
        self._events += 1
        self._noted += unread

    def _transaction(self) -> Any:
        return _Transaction(self._store)


class _Transaction:
    """A transaction whose failure says that the journal failed."""

    def __init__(self, store: sa.Engine) -> None:
        self._begun = store.begin()
        self._place = store.url.database

    def __enter__(self) -> sa.Connection:
        return self._begun.__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self._begun.__exit__(kind, error, trace)
        except sa.exc.DBAPIError as failure:
            error = failure
        if isinstance(error, sa.exc.DBAPIError):
            raise JournalFailed(
                f"{self._place}: the journal cannot be written: {error.orig}; trading has stopped, "
                "what was recorded before is kept"
            ) from None


def all_runs(store: sa.Engine) -> list[Run]:
    """The runs in the journal, oldest first."""
    with _readable(store), store.connect() as connection:
        rows = connection.execute(runs.select().order_by(runs.c.started_at, runs.c.run))
        return [Run(*row) for row in rows]


def find_run(store: sa.Engine, run: str | None) -> Run:
    """The run of that id, or the last one for None. Raises DataError that names what there is."""
    known = all_runs(store)
    if not known:
        raise DataError(f"{store.url.database} holds no run yet")
    found = next((each for each in known if each.run == run), None) if run else known[-1]
    if found is None:
        last = ", ".join(each.run for each in known[-5:])
        raise DataError(f'{store.url.database} holds no run "{run}"; the last ones are {last}')
    return found


def read(store: sa.Engine, run: str) -> Iterator[Event]:
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
    with _readable(store), store.connect().execution_options(yield_per=10) as connection:
        rows = connection.execute(newest)
        return next((row.number for row in rows if _SNAPSHOT in bytes(row.payload or b"")), 0)


def _stored(store: sa.Engine, run: str, first: int = 0) -> Iterator[Event]:
    digest = _GENESIS if first == 0 else _digest_of(store, run, first - 1)
    for number, block in enumerate(_rows(store, run, first), first):
        payload = block.payload if isinstance(block.payload, bytes) else b""
        digest = hashlib.sha256(digest + payload).digest()
        if block.number != number or block.digest != digest:
            raise DataError(
                f"{store.url.database}: block {number} of run {run} is missing or was changed; "
                "the events before it are sound"
            )
        try:
            events = _decoder.decode_lines(payload)
        except ValueError as error:  # its digest is right: it was written by something else
            raise DataError(
                f"{store.url.database}: block {number} of run {run} cannot be read: {error}"
            ) from None
        yield from events


def _digest_of(store: sa.Engine, run: str, number: int) -> bytes:
    query = sa.select(blocks.c.digest).where(blocks.c.run == run, blocks.c.number == number)
    with _readable(store), store.connect() as connection:
        return bytes(connection.execute(query).scalar() or b"")


def _rows(store: sa.Engine, run: str, first: int = 0) -> Iterator[Any]:
    query = blocks.select().where(blocks.c.run == run, blocks.c.number >= first).order_by(blocks.c.number)
    with _readable(store), store.connect().execution_options(yield_per=100) as connection:
        yield from connection.execute(query)


@contextmanager
def _readable(store: sa.Engine) -> Iterator[None]:
    """Make DataError, which names the file, of what goes wrong inside."""
    try:
        yield
    # Where a cell is damaged it may be of another type than its column.
    except (sa.exc.DatabaseError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise DataError(f"{store.url.database} cannot be read: {_said(error)}") from None


def _said(error: Exception) -> object:
    """What SQLite says, without what SQLAlchemy adds."""
    return getattr(error, "orig", None) or error


def payloads(store: sa.Engine, run: str) -> bytes:
    """The bytes of all events of *run*: two runs that did the same have the same."""
    return b"".join(block.payload for block in _rows(store, run))
