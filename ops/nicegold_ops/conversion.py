"""Clean Parquet of market data, with its provenance: what it was made from, how, and what was left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from nicegold import DAY, Bar, Clock, Defect, Market, Quote, Reject
from nicegold_ops.errors import DataError
from nicegold_ops.quarantine import DefectFile

#: Rows that are written at once, and that a reader can skip at once.
_GROUP = 131_072
#: Under this name the file's own metadata say where it came from.
_KEY = "nicegold"
_BAR = ("open", "high", "low", "close", "volume", "spread")
_QUOTE = ("bid", "ask", "bid_size", "ask_size")


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file came from: the bytes with *sha256* at *source*, as *feed* read them with *settings*.

    *timezone*, and for bars *timeframe*, are what to read it with. *events* were kept; of what was
    not, *dropped* has the numbers by kind. *nicegold* is the version that wrote it.
    """

    source: str
    sha256: str
    feed: str
    settings: dict[str, str]
    instrument: str
    timezone: str
    timeframe: str = ""
    nicegold: str = ""
    events: int = 0
    dropped: dict[str, int] = {}


class Converted(msgspec.Struct, frozen=True):
    """What was written: the file, and where the lines are that were not used, if there are any."""

    out: Path
    rejected: Path | None
    provenance: Provenance


def clock_to_keep(declared: str, length: int) -> str:
    """The clock for the times of a new file: UTC, but for days that have 23 hours or 25 by their own."""
    return declared if length >= DAY and not Clock.parse(declared).is_fixed else "UTC"


def convert(stream: Callable[[Reject], Iterator[Market]], out: Path, made: Provenance) -> Converted:
    """Write what *stream* delivers to *out*, a group of rows at a time; nothing is there before all is.

    What it rejects goes beside it. Raises DataError if it delivers nothing, and what *stream* raises.
    """
    half = out.with_name(f".{out.name}.{os.getpid()}")
    aside = DefectFile(half.with_name(f"{half.name}.rejected.csv"))
    dropped: Counter[str] = Counter()

    def reject(defect: Defect) -> None:
        dropped[defect.kind] += 1
        aside(defect)

    try:
        provenance = _write(stream(reject), half, made, dropped)
        aside.close()
        rejected = aside.moved_to(out.with_name(f"{out.name}.rejected.csv"))
        half.replace(out)
    finally:
        aside.close()
        aside.path.unlink(missing_ok=True)
        half.unlink(missing_ok=True)
    return Converted(out, rejected, provenance)


def _write(stream: Iterator[Market], path: Path, made: Provenance, dropped: Counter[str]) -> Provenance:
    from pyarrow.parquet import ParquetWriter

    first = next(stream, None)
    if first is None:
        raise DataError(f"{made.source} has nothing that can be used")
    names = _BAR if isinstance(first, Bar) else _QUOTE
    clock = Clock.parse(made.timezone)
    events = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    market = chain([first], stream)
    with ParquetWriter(path, _schema(names, clock), compression="zstd") as writer:
        while group := list(islice(market, _GROUP)):
            writer.write_table(_table(group, names, clock))
            events += len(group)
        provenance = msgspec.structs.replace(
            made, events=events, dropped=dict(sorted(dropped.items())), nicegold=version("nicegold")
        )
        writer.add_key_value_metadata({_KEY: msgspec.json.encode(provenance).decode()})
    return provenance


def _schema(names: tuple[str, ...], clock: Clock) -> Any:
    import pyarrow as arrow

    # A label would say that it is UTC.
    zone = "UTC" if clock == Clock() else None
    return arrow.schema([("time", arrow.timestamp("ns", zone)), *((name, arrow.float64()) for name in names)])


def _table(group: list[Market], names: tuple[str, ...], clock: Clock) -> Any:
    import pyarrow as arrow

    begins = [each.time if isinstance(each, Quote) else each.start for each in group]
    times = begins if clock == Clock() else [clock.to_local(begin) for begin in begins]
    columns = [times, *([getattr(each, name) for each in group] for name in names)]
    return arrow.table(columns, schema=_schema(names, clock))


def provenance_of(path: Path) -> Provenance | None:
    """What the Parquet file *path* says about itself, if we wrote it."""
    if path.suffix != ".parquet" or not path.is_file():
        return None
    from pyarrow import ArrowException
    from pyarrow.parquet import read_metadata

    try:
        said = (read_metadata(path).metadata or {}).get(_KEY.encode())
        return None if said is None else msgspec.json.decode(said, type=Provenance)
    except (ArrowException, msgspec.MsgspecError, OSError):
        return None
