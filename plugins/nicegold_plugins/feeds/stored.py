"""Bars and quotes from a store, where `nicegold data store` has put them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from nicegold import (
    Bar,
    Instrument,
    Market,
    Quote,
    Reject,
    Source,
    UnusableData,
    hookimpl,
    parse_timeframe,
    plugin,
)

#: What the two tables have, in the order in which Bar and Quote take it.
_BARS = (
    "SELECT start, time, open, high, low, close, volume, spread FROM bars "
    "WHERE symbol = {0} AND length = {0} AND start >= {0} AND start < {0} ORDER BY start"
)
_QUOTES = (
    "SELECT time, bid, ask, bid_size, ask_size FROM quotes "
    "WHERE symbol = {0} AND time >= {0} AND time < {0} ORDER BY time, number"
)
#: After every time.
_NEVER = (1 << 63) - 1
_ROWS = 10_000
#: What libpq takes in a URL's query that must not be on record.
_SECRET = ("password", "sslpassword")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@plugin
class Stored:
    """Read bars of *instrument* from the SQLite file *path*, or the PostgreSQL database *url*.

    They are *timeframe* bars (M15, H1), or quotes where it is empty, from the time *start* to before *end*,
    each with its zone as in 2024-01-01T00:00:00Z; without them, all that there is.
    """

    instrument: str
    path: Path | None = None
    url: str = ""
    timeframe: str = ""
    start: str = ""
    end: str = ""

    def __post_init__(self) -> None:
        if (self.path is None) == (not self.url):
            raise ValueError("name one store: the SQLite file in path, or the PostgreSQL database in url")
        url = urlsplit(self.url)
        if url.password is not None or not parse_qs(url.query).keys().isdisjoint(_SECRET):
            # It would be on record with each run.
            raise ValueError("url holds a password; take it out, and put it in ~/.pgpass or in PGPASSWORD")
        self._length = parse_timeframe(self.timeframe) if self.timeframe else 0
        self._from, self._until = _ns("start", self.start, 0), _ns("end", self.end, _NEVER)

    @hookimpl
    def source(self) -> Source:
        """All of the rows: a replay is told when one of them was replaced."""
        digest = hashlib.sha256()
        with self._read() as connection:
            for row in self._rows(connection):
                digest.update(repr(row).encode())
        return Source(f"{self._store}: {self._what}", digest.hexdigest())

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument]) -> None:
        """Raise UnusableData if the store is not there, or has nothing of it."""
        with self._read() as connection:
            if next(self._rows(connection), None) is None:
                raise UnusableData(
                    f"{self._store} has no {self._what} in that time; see nicegold data stored {self._store}"
                )

    @hookimpl
    def stream_market(self, instruments: Mapping[str, Instrument], reject: Reject) -> Iterator[Market]:
        kind: Any = Bar if self._length else Quote
        with self._read() as connection:
            for row in self._rows(connection):
                yield kind(self.instrument, *row)

    @property
    def _what(self) -> str:
        return f"{f'{self.timeframe} bars' if self.timeframe else 'quotes'} of {self.instrument}"

    @property
    def _store(self) -> str:
        return self.url or str(self.path)

    def _read(self) -> AbstractContextManager[Any]:
        return _postgresql(self.url) if self.path is None else _sqlite(self.path)

    def _rows(self, connection: Any) -> Iterator[tuple[Any, ...]]:
        mark = "?" if isinstance(connection, sqlite3.Connection) else "%s"
        span = (self._from, self._until)
        if self._length:
            return _found(connection, _BARS.format(mark), (self.instrument, self._length, *span))
        return _found(connection, _QUOTES.format(mark), (self.instrument, *span))


def _ns(name: str, text: str, otherwise: int) -> int:
    """The time that *text* says (ns UTC)."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError(f"{name} is no time such as 2024-01-01T00:00:00Z: {text}") from None
    if moment is None:
        return otherwise
    if moment.tzinfo is None:
        raise ValueError(f"{name} has no zone: {text}; for UTC write {text}Z")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


# Connections that only read, closed at the end. Both raise UnusableData that names the store.


@contextmanager
def _postgresql(url: str) -> Iterator[Any]:
    try:
        import psycopg
    except ModuleNotFoundError:
        raise UnusableData('url needs psycopg: pip install "nicegold[postgresql]"') from None
    try:
        with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
            connection.read_only = True
            yield connection
    except psycopg.Error as error:
        raise UnusableData(f"{url} cannot be read: {' '.join(str(error).split())}") from None


@contextmanager
def _sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise UnusableData(f"{path} is not there; nicegold data store makes it")
    try:
        # Written to meanwhile or not: its log is read too.
        place = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(place, uri=True, check_same_thread=False)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise UnusableData(f"{path} cannot be read: {error}") from None


def _found(connection: Any, query: str, values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The rows, some thousand at once: a server would else send all of them before the first is read."""
    if isinstance(connection, sqlite3.Connection):
        yield from connection.execute(query, values)
        return
    with connection.cursor(name="stored", binary=True) as cursor:
        cursor.itersize = _ROWS
        yield from cursor.execute(query, values)
