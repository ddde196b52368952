"""What it takes to keep bars in a store, beside the least that the database's own driver needs for them.

That is COPY in PostgreSQL and executemany in SQLite, into a table with the same key and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from nicegold import SECOND, Bar
from nicegold.testing import bar
from nicegold_ops.store.market import keep
from nicegold_ops.store.place import open_store
from tests.bench.walk import scratch
from tests.services.postgresql import postgresql

#: Times what the driver alone takes.
MOST = 2.5
_MINUTE = 60 * SECOND
_FLOOR = (
    "CREATE TABLE floor (symbol TEXT, length BIGINT, start BIGINT, time BIGINT, open DOUBLE PRECISION, "
    "high DOUBLE PRECISION, low DOUBLE PRECISION, close DOUBLE PRECISION, volume DOUBLE PRECISION, "
    "spread DOUBLE PRECISION, PRIMARY KEY (symbol, length, start))"
)
_TYPES = ["text", *["int8"] * 3, *["float8"] * 6]


class Kept(msgspec.Struct, frozen=True):
    """Seconds for *rows* bars: by the driver alone, kept, and kept again."""

    rows: int
    floor: float
    kept: float
    again: float


class Bulk(msgspec.Struct, frozen=True):
    """By database; one that is not installed is left out."""

    stores: dict[str, Kept]


def measure(rows: int) -> Bulk:
    """*rows* bars into each database."""
    bars = [bar(2000.0 + number % 7, number=number, length=_MINUTE) for number in range(rows)]
    with scratch() as name:
        stores = {"SQLite": _kept(open_store(Path(name) / "market.sqlite"), bars, _inserted)}
    try:
        with postgresql() as server:
            stores["PostgreSQL"] = _kept(open_store(server.url(server.new_database())), bars, _copied)
    except pytest.skip.Exception:
        pass
    return Bulk(stores)


def _kept(store: sa.Engine, bars: list[Bar], floor: Callable[[Any, Iterator[tuple[Any, ...]]], None]) -> Kept:
    with store.begin() as connection:
        connection.exec_driver_sql(_FLOOR)
        least = _seconds(lambda: floor(connection.connection.driver_connection, _rows(bars)))
    kept, again = (_seconds(lambda: keep(store, iter(bars), _MINUTE)) for _ in range(2))
    store.dispose()
    return Kept(len(bars), least, kept, again)


def _rows(bars: list[Bar]) -> Iterator[tuple[Any, ...]]:
    for each in bars:
        prices = (each.open, each.high, each.low, each.close, each.volume, each.spread)
        yield each.symbol, _MINUTE, each.start, each.time, *prices


def _copied(connection: Any, rows: Iterator[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY floor FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(_TYPES)
        for row in rows:
            copy.write_row(row)


def _inserted(connection: Any, rows: Iterator[tuple[Any, ...]]) -> None:
    connection.executemany("INSERT INTO floor VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
