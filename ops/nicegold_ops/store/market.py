"""Bars and quotes in a store: written in bulk, once however often they come, and what can be asked of them.

A SQLite file of them is best one of its own: the journal is backed up as often as one can bear to lose, and
prices can be had again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from nicegold import DAY, Bar, Market, Quote, show_time
from nicegold_ops.errors import DataError
from nicegold_ops.store import timescale
from nicegold_ops.store.place import StoreFailed, place_of, readable, said
from nicegold_ops.store.tables import bars, insert_into, quotes

Row: TypeAlias = tuple[Any, ...]

#: Rows that are committed together: a load that is interrupted has those before, and may simply come again.
BATCH = 100_000
#: What COPY must know of the columns: their types by PostgreSQL's names.
_TYPES = {
    "bars": ["text", *["int8"] * 3, *["float8"] * 6],
    "quotes": ["text", *["int8"] * 2, *["float8"] * 4],
}
#: The column of its time, by table.
_WHEN = {"bars": bars.c.start, "quotes": quotes.c.time}


class Kept(msgspec.Struct, frozen=True):
    """What became of a stream: rows that were *new*, and those that the store had as they are."""

    new: int = 0
    known: int = 0
    replaced: int = 0

    def __add__(self, other: Kept) -> Kept:
        return Kept(self.new + other.new, self.known + other.known, self.replaced + other.replaced)


class Held(msgspec.Struct, frozen=True):
    """What a store has of *symbol*: bars of *length* (ns), or quotes for 0, *first* to *last* (ns UTC)."""

    symbol: str
    length: int
    first: int
    last: int


class Day(msgspec.Struct, frozen=True):
    """How many *rows* there are of a day, which begins at the time *day* (ns UTC)."""

    day: int
    rows: int


# What is written.


def keep(
    store: sa.Engine,
    stream: Iterator[Market],
    length: int,
    *,
    replace: bool = False,
    shown: Callable[[int, int], None] = lambda rows, time: None,
) -> Kept:
    """Write bars of *length* (ns), or quotes for 0; *shown* is told how many came, and the last one's time.

    A price that is there at the same time and is another is an error, or is replaced if *replace* says so.
    Raises DataError for that, and StoreFailed when nothing can be written; what was committed before stays.
    """
    table, rows = (bars, _rows_of_bars(stream, length)) if length else (quotes, _rows_of_quotes(stream))
    kept, came = Kept(), 0
    while batch := list(islice(rows, BATCH)):
        try:
            with store.begin() as connection:
                kept += _write(connection, table, batch, replace)
        except (sa.exc.DBAPIError, store.dialect.loaded_dbapi.Error) as error:
            raise StoreFailed(f"{place_of(store)} cannot be written: {said(error)}") from None
        came += len(batch)
        shown(came, _time_in(table, batch[-1]))
    return kept


def _rows_of_bars(stream: Iterator[Any], length: int) -> Iterator[Row]:
    for bar in stream:
        prices = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.spread)
        yield bar.symbol, length, bar.start, bar.time, *prices


def _rows_of_quotes(stream: Iterator[Any]) -> Iterator[Row]:
    number, last = 0, -1
    for quote in stream:
        number = number + 1 if quote.time == last else 0
        last = quote.time
        yield quote.symbol, quote.time, number, quote.bid, quote.ask, quote.bid_size, quote.ask_size


def _time_in(table: sa.Table, row: Row) -> int:
    return int(row[list(table.columns).index(_WHEN[table.name])])


def _write(connection: sa.Connection, table: sa.Table, batch: Sequence[Row], replace: bool) -> Kept:
    if connection.dialect.name == "postgresql" and not timescale.arrange(connection):
        timescale.make_room(connection, table.name, _time_in(table, batch[0]), _time_in(table, batch[-1]))
    if not _is_new(connection, table, batch):
        return _merge(connection, table, batch, replace)
    _put(connection, table, table.name, batch)
    return Kept(new=len(batch))


def _is_new(connection: sa.Connection, table: sa.Table, batch: Sequence[Row]) -> bool:
    """Whether *batch* can be put where it belongs at once: all is of a time of which nothing is there."""
    width = len(table.primary_key.columns)
    keys = {row[:width] for row in batch}
    when = _WHEN[table.name].between(_time_in(table, batch[0]), _time_in(table, batch[-1]))
    of_it = table.c.symbol.in_({row[0] for row in batch})
    there = connection.execute(
        sa.select(sa.literal(1)).select_from(table).where(of_it, when).limit(1)
    ).first()
    return there is None and len(keys) == len(batch)


def _merge(connection: sa.Connection, table: sa.Table, batch: Sequence[Row], replace: bool) -> Kept:
    """Put *batch* beside the table first: the database then finds what is there as fast as it can."""
    staged = _staged(connection, table, batch)
    is_same = sa.and_(*(table.c[key.name] == staged.c[key.name] for key in table.primary_key))
    joined = table.join(staged, is_same)
    differs = sa.or_(*(table.c[each] != staged.c[each] for each in _values(table)))
    found = sa.select(sa.func.count(), sa.func.count(sa.case((differs, 1)))).select_from(joined)
    there, others = connection.execute(found).one()
    if others and not replace:
        first = sa.select(*table.columns, *staged.columns).select_from(joined)
        _refuse(connection, table, connection.execute(first.where(differs).limit(1)).one())
    # Without a condition SQLite takes ON CONFLICT for a part of the SELECT.
    insert = insert_into(table, connection.dialect.name).from_select(
        table.columns.keys(), sa.select(staged).where(sa.true())
    )
    changed = {each: insert.excluded[each] for each in _values(table)}
    connection.execute(
        insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)
        if others
        else insert.on_conflict_do_nothing()
    )
    return Kept(len(batch) - there, there - others, others)


def _values(table: sa.Table) -> list[str]:
    return [column.name for column in table.columns if not column.primary_key]


def _staged(connection: sa.Connection, table: sa.Table, batch: Sequence[Row]) -> sa.TableClause:
    """A table of *batch* alone, which goes with the connection or with the next one."""
    name = f"staged_{table.name}"
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    empty = sa.select(table).where(sa.false()).compile(connection, compile_kwargs={"literal_binds": True})
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {name} AS {empty}")
    _put(connection, table, name, batch)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"ANALYZE {name}")
    return sa.table(name, *(sa.column(column.name, column.type) for column in table.columns))


def _put(connection: sa.Connection, table: sa.Table, name: str, batch: Sequence[Row]) -> None:
    """Add *batch* to the table *name*, which has the columns of *table*."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        insert = sa.table(name, *(sa.column(each.name) for each in table.columns)).insert()
        driver.executemany(str(insert.compile(dialect=connection.dialect)), batch)
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(_TYPES[table.name])
        for row in batch:
            copy.write_row(row)


def _refuse(connection: sa.Connection, table: sa.Table, row: sa.Row[Any]) -> None:
    width = len(table.columns)
    there = dict(zip(table.columns.keys(), row[:width], strict=True))
    came = dict(zip(table.columns.keys(), row[width:], strict=True))
    when = show_time(there[_WHEN[table.name].name])
    wrong = ", ".join(
        f"{each} {there[each]} is {came[each]}" for each in _values(table) if there[each] != came[each]
    )
    raise DataError(
        f"{place_of(connection.engine)} has {there['symbol']} at {when} UTC already, with other values: "
        f"{wrong}; --replace takes the new ones"
    )


def forget(store: sa.Engine, before: int) -> None:
    """Remove what is older than *before* (ns UTC); in PostgreSQL whole months, or chunks, at once.

    Raises StoreFailed when that cannot be done.
    """
    try:
        with store.begin() as connection:
            if connection.dialect.name == "postgresql":
                timescale.forget(connection, before)
                return
            for table in (bars, quotes):
                connection.execute(table.delete().where(_WHEN[table.name] < before))
    except sa.exc.DBAPIError as error:
        raise StoreFailed(f"{place_of(store)} cannot be written: {said(error)}") from None


# What is asked.


def held(connection: sa.Connection) -> list[Held]:
    """What there is, by symbol and length. Goes from one to the next by the index, however much there is."""
    with readable(connection.engine):
        kinds = [(symbol, 0) for symbol in _distinct(connection, quotes.c.symbol)]
        for symbol in _distinct(connection, bars.c.symbol):
            lengths = _distinct(connection, bars.c.length, bars.c.symbol == symbol)
            kinds += [(symbol, length) for length in lengths]
        return [each for kind in sorted(kinds) if (each := _extent(connection, *kind))]


def _distinct(
    connection: sa.Connection, column: sa.Column[Any], *of_it: sa.ColumnElement[bool]
) -> Iterator[Any]:
    least = sa.select(sa.func.min(column)).where(*of_it)
    found = connection.execute(least).scalar()
    while found is not None:
        yield found
        found = connection.execute(least.where(column > found)).scalar()


def _extent(connection: sa.Connection, symbol: str, length: int) -> Held | None:
    when, of_it = _of(symbol, length)
    first = connection.execute(sa.select(when).where(*of_it).order_by(when).limit(1)).scalar()
    last = connection.execute(sa.select(when).where(*of_it).order_by(when.desc()).limit(1)).scalar()
    return None if first is None or last is None else Held(symbol, length, first, last)


def _of(symbol: str, length: int) -> tuple[sa.Column[int], list[sa.ColumnElement[bool]]]:
    """The column of the times, and which rows are *symbol*'s bars of *length*, or quotes for 0."""
    if not length:
        return quotes.c.time, [quotes.c.symbol == symbol]
    return bars.c.start, [bars.c.symbol == symbol, bars.c.length == length]


def newest_bars(connection: sa.Connection, symbol: str, length: int, *, limit: int = 100) -> list[Bar]:
    """The last bars that there are, oldest first."""
    when, of_it = _of(symbol, length)
    return _bars(connection, sa.select(bars).where(*of_it).order_by(when.desc()).limit(limit))[::-1]


def bars_between(
    connection: sa.Connection, symbol: str, length: int, first: int, last: int, *, limit: int = 100
) -> list[Bar]:
    """The bars that start between *first* and *last*, both included."""
    when, of_it = _of(symbol, length)
    query = sa.select(bars).where(*of_it, when.between(first, last)).order_by(when).limit(limit)
    return _bars(connection, query)


def _bars(connection: sa.Connection, query: sa.Select[Any]) -> list[Bar]:
    with readable(connection.engine):
        return [Bar(symbol, *values) for symbol, _, *values in connection.execute(query)]


def quotes_between(
    connection: sa.Connection, symbol: str, first: int, last: int, *, limit: int = 100
) -> list[Quote]:
    """The quotes at times between *first* and *last*, both included."""
    when, of_it = _of(symbol, 0)
    in_order = (when, quotes.c.number)
    query = sa.select(quotes).where(*of_it, when.between(first, last)).order_by(*in_order).limit(limit)
    with readable(connection.engine):
        return [Quote(symbol, time, *sizes) for symbol, time, _, *sizes in connection.execute(query)]


def days(connection: sa.Connection, symbol: str, length: int, first: int, last: int) -> list[Day]:
    """How many rows there are on each day between *first* and *last* that has any."""
    when, of_it = _of(symbol, length)
    # Named, since PostgreSQL takes two parameters for two different ones.
    day = (when - when % sa.literal_column(str(DAY))).label("day")
    query = (
        sa.select(day, sa.func.count()).where(*of_it, when.between(first, last)).group_by(day).order_by(day)
    )
    with readable(connection.engine):
        return [Day(*row) for row in connection.execute(query)]
