"""`nicegold data store`, `stored` and `forget`: bars and quotes in a store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import click
import msgspec
import sqlalchemy as sa
from rich.console import RenderableType

from nicegold import Defect, name_timeframe
from nicegold_ops.commands._options import json_option
from nicegold_ops.commands._output import answer, facts, moment, progress, table
from nicegold_ops.commands.data._reading import Asked, declared, reading_options, words_of
from nicegold_ops.errors import ConfigurationError, DataError
from nicegold_ops.period import nanoseconds
from nicegold_ops.store import market
from nicegold_ops.store.market import Held, Kept
from nicegold_ops.store.place import open_store

_place = click.argument("place", metavar="STORE")


class Loaded(msgspec.Struct, frozen=True):
    """What came of a file in *store*: bars, or quotes where *timeframe* is empty; *dropped* by kind."""

    store: str
    instrument: str
    timeframe: str
    kept: Kept
    dropped: dict[str, int]
    seconds: float


@click.command()
@reading_options
@_place
@click.option("--replace", is_flag=True, help="Where there is another price at the same time, take the new.")
@json_option
def store(place: str, replace: bool, json_to: Path | None, **typed: object) -> None:
    """Keep what is sound in FILE in STORE: a SQLite file, or the URL of a PostgreSQL database.

    What is there already stays, so the same file can come again. `use = "stored"` reads it back as the same
    bars. In PostgreSQL they are in partitions by month, or in TimescaleDB's hypertables if that is installed.
    """
    asked = Asked(**typed)  # type: ignore[arg-type]
    if not _is_url(place) and Path(place).exists() and Path(place).samefile(asked.file):
        raise ConfigurationError(f"{place} is the file itself; name another")
    reading = declared(asked)
    began, dropped = time.perf_counter(), Counter[str]()

    def reject(defect: Defect) -> None:
        dropped[defect.kind] += 1

    with _opened(place, to_write=True) as engine, progress(f"keeping {asked.file.name}") as shown:
        stream = reading.stream(reject)
        kept = market.keep(engine, stream, reading.length, replace=replace, shown=shown)
    timeframe = name_timeframe(reading.length) if reading.length else ""
    seconds = time.perf_counter() - began
    loaded = Loaded(place, reading.instrument.symbol, timeframe, kept, dict(sorted(dropped.items())), seconds)
    answer(loaded, json_to, _shown(loaded, asked.file))


def _shown(loaded: Loaded, file: Path) -> RenderableType:
    kept, what = loaded.kept, f"{loaded.timeframe} bars" if loaded.timeframe else "quotes"
    rows = kept.new + kept.known + kept.replaced
    dropped = words_of(loaded.dropped)
    name = "url" if _is_url(loaded.store) else "path"
    said = f'use = "stored", {name} = "{loaded.store}", instrument = "{loaded.instrument}"'
    return facts(
        ("kept", f"{rows:,} {what}: {kept.new:,} new, {kept.known:,} known, {kept.replaced:,} replaced"),
        ("not used", f"{dropped}; see nicegold data check {file}" if dropped else "nothing was left out"),
        ("took", f"{loaded.seconds:.2f} s, {rows / loaded.seconds:,.0f} rows/s"),
        ("read it with", f'{said}, timeframe = "{loaded.timeframe}"' if loaded.timeframe else said),
    )


@click.command()
@_place
@json_option
def stored(place: str, json_to: Path | None) -> None:
    """Say what bars and quotes STORE has, and of which time."""
    with _opened(place) as engine, engine.connect() as connection:
        held = market.held(connection)
    answer(held, json_to, _listed(held) if held else f"{place} has no market data yet")


def _listed(held: list[Held]) -> RenderableType:
    shown = table("instrument", "what", "first, UTC", "last, UTC")
    for each in held:
        what = name_timeframe(each.length) if each.length else "quotes"
        shown.add_row(each.symbol, what, moment(each.first), moment(each.last))
    return shown


@click.command()
@_place
@click.option("--before", required=True, metavar="DAY", help="The first day that stays, such as 2024-01-01.")
@json_option
def forget(place: str, before: str, json_to: Path | None) -> None:
    """Remove bars and quotes from STORE that are older than a day.

    In PostgreSQL whole months go (TimescaleDB: chunks), which takes no time; the month of that day stays.
    """
    with _opened(place) as engine:
        market.forget(engine, _ns(before))
        with engine.connect() as connection:
            held = market.held(connection)
    answer(held, json_to, _listed(held) if held else f"{place} has no market data any more")


def _ns(text: str) -> int:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--before {text} is not a day such as 2024-01-01.") from None
    return nanoseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _is_url(place: str) -> bool:
    return "://" in place


@contextmanager
def _opened(place: str, *, to_write: bool = False) -> Iterator[sa.Engine]:
    if not (_is_url(place) or to_write or Path(place).is_file()):
        raise DataError(f"{place}: there is no such store; nicegold data store makes one")
    engine = open_store(place if _is_url(place) else Path(place))
    try:
        yield engine
    finally:
        engine.dispose()
