"""Where a store is: a SQLite file, the memory, or a PostgreSQL database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from nicegold_ops.credentials import Login
from nicegold_ops.errors import ConfigurationError, DataError, NicegoldError
from nicegold_ops.store.schema import prepare

_POSTGRESQL = "postgresql+psycopg"
_EXAMPLE = f"{_POSTGRESQL}://user@host/database"
#: What libpq takes in a URL's query that must not be on record.
#: What SQLite calls the sum of products of `Exact` columns.
EXACT_SUM = "exact_sum"
_SECRET = ("password", "sslpassword")
#: A server that is gone is noticed within ten seconds; libpq's own words, so a URL's query may say otherwise.
_CLIENT = {
    "connect_timeout": "10",
    "keepalives_idle": "5",
    "keepalives_interval": "1",
    "keepalives_count": "5",
    "tcp_user_timeout": "10000",
}
#: And so is a client that is gone, whose locks would stay. Nobody waits longer for somebody else's.
_SERVER = (
    "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 5; "
    "SET tcp_user_timeout = 10000; SET lock_timeout = 10000"
)
#: What reading a damaged cell raises: it may be of another type than its column.
_UNSOUND = (ValueError, TypeError, OverflowError, MemoryError, InvalidOperation)


class Server(msgspec.Struct, frozen=True):
    """A PostgreSQL database at *url*, which *login* lets us into."""

    url: str
    login: Login


class StoreFailed(NicegoldError):
    """The store cannot be reached, opened or written."""


def open_store(
    place: Path | str | Server | None,
    *,
    durable: bool = True,
    connect: Callable[[], sqlite3.Connection] | None = None,
) -> sa.Engine:
    """The store at *place*: a SQLite file, made when missing, a PostgreSQL's, or in memory for None.

    *durable* is whether a commit waits for the disk. *connect* opens the file in another way than usual.
    Raises ConfigurationError for a URL that cannot be meant, StoreFailed when the store cannot be
    opened, and DataError when what is there is no store, or one of a newer nicegold.
    """
    engine = _opened(place, durable, connect)
    try:
        prepare(engine)
    except sa.exc.OperationalError as error:
        engine.dispose()
        raise StoreFailed(f"{place_of(engine)}: the journal cannot be opened: {said(error)}") from None
    # SQLite's message is not text where it quotes what is damaged.
    except (sa.exc.DatabaseError, UnicodeDecodeError) as error:
        engine.dispose()
        raise DataError(
            f"{place_of(engine)} is not a journal: {said(error)}; "
            "move it away, or name another place in [run]"
        ) from None
    except DataError as error:
        engine.dispose()
        raise DataError(f"{place_of(engine)} {error}") from None
    return engine


def _opened(
    place: Path | str | Server | None, durable: bool, connect: Callable[[], sqlite3.Connection] | None
) -> sa.Engine:
    match place:
        case Server():
            engine = _postgresql(place.url, durable)
            _log_in(engine, place.login)
            return engine
        case str():
            return _postgresql(place, durable)
        case _:
            return _sqlite(place, durable, connect)


def _log_in(engine: sa.Engine, login: Login) -> None:
    """Make *engine*'s connections with what *login* says, and no other one is used where that has changed."""

    @sa.event.listens_for(engine, "do_connect")
    def _give(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        try:
            found = login.credentials()
        except NicegoldError as error:
            # As the driver says it when it cannot connect: who uses the store knows what to do then.
            raise dialect.dbapi.OperationalError(str(error)) from None
        parameters["password"] = found.password.reveal()
        if found.user is not None:
            parameters["user"] = found.user
        record.info["credentials"] = found.number

    @sa.event.listens_for(engine, "checkout")
    def _replace(connection: Any, record: Any, proxy: Any) -> None:
        if record.info.get("credentials") != login.number():
            raise sa.exc.DisconnectionError

    @sa.event.listens_for(engine, "engine_disposed")
    def _give_back(engine: sa.Engine) -> None:
        login.close()


def place_of(engine: sa.Engine) -> str:
    """What to call the store in a message: its file, or its URL without the password."""
    if engine.dialect.name == "sqlite":
        return str(engine.url.database)
    return engine.url.set(query={}).render_as_string()


def said_of(engine: sa.Engine) -> dict[str, str | int | float | bool]:
    """What OpenTelemetry says of the database, by its names."""
    url = engine.url
    said = {
        "db.system.name": engine.dialect.name,
        "db.namespace": "" if engine.dialect.name == "sqlite" else url.database,
        "server.address": url.host,
        "server.port": url.port,
    }
    return {name: value for name, value in said.items() if value}


class _ExactSum:
    """Adds up products of decimals that are text, as SQLite's own numbers are not exact."""

    def __init__(self) -> None:
        self._total = Decimal(0)

    def step(self, *factors: Any) -> None:
        self._total += prod(map(Decimal, factors))

    def finalize(self) -> str:
        return f"{self._total:f}"


@contextmanager
def written(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction, whole or not at all. Raises StoreFailed where it cannot be written."""
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        raise StoreFailed(f"{place_of(engine)} cannot be written: {said(error)}") from None


@contextmanager
def readable(engine: sa.Engine) -> Iterator[None]:
    """Make DataError, which names the store, of what goes wrong while it is read."""
    try:
        yield
    except (sa.exc.DatabaseError, *_UNSOUND) as error:
        raise DataError(f"{place_of(engine)} cannot be read: {said(error)}") from None


@contextmanager
def sound(engine: sa.Engine) -> Iterator[None]:
    """Make DataError, which names the store, of cells that cannot be. What the database raises stays that."""
    try:
        yield
    except _UNSOUND as error:
        raise DataError(f"{place_of(engine)} cannot be read: {said(error)}") from None


def said(error: Exception) -> str:
    """What the database says, in one line and without what SQLAlchemy adds."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _sqlite(path: Path | None, durable: bool, connect: Callable[[], sqlite3.Connection] | None) -> sa.Engine:
    if path is not None and connect is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    url = sa.URL.create("sqlite", database=str(path) if path else None)
    engine = sa.create_engine(url, creator=connect) if connect else sa.create_engine(url)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        # An order changes a page of each table that tells of it, and all of them are synced before it leaves:
        # pages of 32 KB took a third longer. Smaller ones save no more, and make a backtest's blocks slow to
        # write, which are some hundred thousand bytes. For a new file.
        connection.execute("PRAGMA page_size = 8192")
        # The stubs know of integers only.
        connection.create_aggregate(EXACT_SUM, -1, _ExactSum)  # type: ignore[arg-type]
        connection.execute("PRAGMA journal_mode = WAL")
        # What left nothing outside can be run again, so it need not survive the loss of power.
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")

    return engine


def url_of(store: str) -> sa.URL:
    """The URL *store*. Raises ValueError, which goes on after its name, when it cannot be meant.

    It is not repeated, as it may hold a password.
    """
    try:
        url = sa.make_url(store)
    except sa.exc.ArgumentError:
        raise ValueError(f"cannot be read; one in PostgreSQL is {_EXAMPLE}") from None
    if url.drivername != _POSTGRESQL:
        raise ValueError(f"begins with {url.drivername}://; one in PostgreSQL is {_EXAMPLE}")
    if url.password is not None or not url.query.keys().isdisjoint(_SECRET):
        raise ValueError(
            "holds a password, which would be on record with each run; take it out, and put it in ~/.pgpass, "
            "in PGPASSWORD or in the file that PGSERVICEFILE names"
        )
    return url


def _postgresql(store: str, durable: bool) -> sa.Engine:
    url = location(store)
    patience = {name: value for name, value in _CLIENT.items() if name not in url.query}
    engine = sa.create_engine(url, connect_args=patience)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        # A setting made in a transaction would be gone with it.
        connection.autocommit = True
        connection.execute(f"{_SERVER}; SET synchronous_commit = {'on' if durable else 'off'}")
        connection.autocommit = False

    return engine


def location(store: str) -> sa.URL:
    """The URL *store*. Raises ConfigurationError when it cannot be meant, or its driver is not here."""
    try:
        url = url_of(store)
        url.get_dialect().import_dbapi()
    except ValueError as error:
        raise ConfigurationError(f"the URL of the store {error}") from None
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'a store in PostgreSQL needs {error.name}: pip install "nicegold[postgresql]"'
        ) from None
    return url
