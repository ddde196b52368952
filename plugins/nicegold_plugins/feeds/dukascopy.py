"""Ticks and candles from Dukascopy's own files, which end in .bi5."""

from __future__ import annotations

import lzma
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from nicegold import (
    DAY,
    SECOND,
    Bar,
    Defect,
    Instrument,
    Market,
    Quote,
    Reject,
    Source,
    UnusableData,
    about_file,
    find_file,
    hookimpl,
    plugin,
    readable,
    refuse_unreadable,
    show_time,
    sound_bars,
    sound_quotes,
    source_of,
)

_TICKS = "ticks"
_NAME = re.compile(r"(?P<hour>\d\d)h_(?P<ticks>ticks)\.bi5|(?P<candles>BID_candles_(min|hour|day)_1)\.bi5")
_FORM = "00h_ticks.bi5, BID_candles_min_1.bi5, BID_candles_hour_1.bi5 or BID_candles_day_1.bi5"
#: What stands for folders that are not there: no year, the first month by its count, the first day.
_FIRST_OF_YEAR = (0, 0, 1)
_MILLISECOND = SECOND // 1000
#: Bytes: a damaged file can ask for thousands of megabytes, and a sound one asks for few.
_MOST_MEMORY = 1 << 28
#: Rows that are read at the start, to see whether any can be.
_SAMPLE = 200


class Kind(msgspec.Struct, frozen=True):
    """How files of one kind are written and laid out.

    A whole *record* begins with a count of *unit* ns from the begin of the file, which is of *span*
    ns at most. The last *depth* folders are its year, month and day. Bars are *length* ns long.
    """

    record: struct.Struct
    unit: int
    span: int
    depth: int
    length: int = 0


#: Big endian. Ticks: time, ask, bid and their sizes. Candles: time, open, CLOSE, low, high, volume.
_KINDS = {
    _TICKS: Kind(struct.Struct(">IIIff"), _MILLISECOND, 3600 * SECOND, 3),
    "BID_candles_min_1": Kind(struct.Struct(">IIIIIf"), SECOND, DAY, 3, 60 * SECOND),
    "BID_candles_hour_1": Kind(struct.Struct(">IIIIIf"), SECOND, 31 * DAY, 2, 3600 * SECOND),
    "BID_candles_day_1": Kind(struct.Struct(">IIIIIf"), SECOND, 366 * DAY, 1, DAY),
}


class File(msgspec.Struct, frozen=True):
    """One file of some *kind*, and when it *begins*, in ns UTC."""

    path: Path
    kind: str
    begins: int


#: A file, and the numbers of one of its records.
Row: TypeAlias = tuple[File, Sequence[Any]]


@plugin
class Dukascopy:
    """Read quotes or bars of *instrument* from the .bi5 file *path*, or in order from all in that folder.

    Their clock is UTC. The hour, day, month or year that a file is of stands in its path, where
    months count from 0: GBPJPY/2012/11/03/00h_ticks.bi5 is of 3 December. *start* says it for one
    file elsewhere, such as 2012-12-03 00:00. Prices in the file are *scale* times the price: 100000
    for most pairs, 1000 for gold and for pairs with the yen. *kind* chooses where a folder has
    several: "ticks", "BID_candles_min_1", "BID_candles_hour_1" or "BID_candles_day_1". Sizes and
    volumes are in millions of units.
    """

    instrument: str
    path: Path
    scale: Decimal
    start: str = ""
    kind: str = ""

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"scale must be above 0: it is {self.scale}")
        if self.kind and self.kind not in _KINDS:
            raise ValueError(f'kind is "{self.kind}"; there are {", ".join(_KINDS)}')
        self._start = _moment_of(self.start) if self.start else None

    @hookimpl
    def source(self) -> Source:
        paths = [file.path for file in self._recognise()]
        return Source(str(Path(self.path).absolute()), source_of(*paths).digest)

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument]) -> None:
        """Raise UnusableData if there is no such file, or it is not as its name says."""
        self._files = self._recognise()
        defects: list[Defect] = []
        seen = list(self._sound(islice(self._rows(), _SAMPLE), instruments, defects.append))
        with about_file(Path(self.path)):
            if not seen and not defects:
                raise UnusableData("has no records")
            refuse_unreadable(seen, defects)

    @hookimpl
    def describe_source(self) -> list[str]:
        files = self._recognise()
        first, last = files[0], files[-1]
        until = f", the last from {show_time(last.begins)}" if last != first else ""
        return [
            f"file: {len(files)} in Dukascopy's bi5 with {first.kind}",
            f"times: UTC, the first from {show_time(first.begins)}{until}",
            f"scale: prices are divided by {self.scale:,}",
        ]

    @hookimpl
    def stream_market(self, instruments: Mapping[str, Instrument], reject: Reject) -> Iterator[Market]:
        return self._sound(self._rows(), instruments, reject)

    def _recognise(self) -> list[File]:
        """The files to read, the oldest first. Raises UnusableData."""
        path = Path(self.path)
        if not path.is_dir():
            with about_file(find_file(path)):
                return [self._file(path)]
        with about_file(path):
            if self._start is not None:
                raise UnusableData("is a folder, and start can only say when one file begins")
            found = [each for each in path.rglob("*.bi5") if _NAME.fullmatch(each.name)]
            kind = self.kind or _only(
                "kind", {_kind_of(each) for each in found}, 'say which with kind = "..."'
            )
            files = [self._file(each) for each in found if _kind_of(each) == kind]
            _only("symbol", {_symbol_of(file) for file in files}, "name the folder of one")
        return sorted(files, key=lambda file: file.begins)

    def _file(self, path: Path) -> File:
        named = _kind_of(path)
        kind = self.kind or named
        if named not in ("", kind):
            raise UnusableData(f'is called as one of {named} is, and kind says "{kind}"')
        if not kind:
            raise UnusableData(f'is not called like {_FORM}; say what it is with kind = "ticks"')
        return File(path, kind, _begin_of(path, kind) if self._start is None else self._start)

    def _rows(self) -> Iterator[Row]:
        for file in self._files:
            for record in _KINDS[file.kind].record.iter_unpack(_content(file)):
                yield file, record

    def _sound(
        self, rows: Iterable[Row], instruments: Mapping[str, Instrument], reject: Reject
    ) -> Iterator[Market]:
        kind = _KINDS[self._files[0].kind]
        if not kind.length:
            return sound_quotes(rows, self._quote_reader(kind), reject, _show)
        sessions = instruments[self.instrument].sessions
        return sound_bars(rows, self._bar_reader(kind), reject, _show, sessions=sessions)

    def _quote_reader(self, kind: Kind) -> Callable[[Row], Quote]:
        symbol, scale, time_of = self.instrument, float(self.scale), _time_reader(kind)

        def read(row: Row) -> Quote:
            _, ask, bid, ask_size, bid_size = row[1]
            return Quote(symbol, time_of(row), bid / scale, ask / scale, bid_size, ask_size)

        return read

    def _bar_reader(self, kind: Kind) -> Callable[[Row], Bar]:
        symbol, scale, time_of, length = self.instrument, float(self.scale), _time_reader(kind), kind.length

        def read(row: Row) -> Bar:
            _, opened, close, low, high, volume = row[1]
            start = time_of(row)
            prices = (opened / scale, high / scale, low / scale, close / scale)
            return Bar(symbol, start, start + length, *prices, volume)

        return read


def _time_reader(kind: Kind) -> Callable[[Row], int]:
    """The function that reads the time of a row, in ns UTC. Raises ValueError if it is not the file's."""
    unit, span = kind.unit, kind.span

    def read(row: Row) -> int:
        since: int = row[1][0] * unit
        if since >= span:
            raise ValueError(f"it is of {since // SECOND} s after its file begins, which ends before")
        return row[0].begins + since

    return read


def _show(row: Row) -> str:
    file, numbers = row
    return f"{file.path.name} from {show_time(file.begins)}: {', '.join(map(str, numbers))}"


def _content(file: File) -> bytes:
    """The whole records of *file*; an hour without ticks is an empty file."""
    with readable(file.path):
        packed = file.path.read_bytes()
        content = lzma.decompress(packed, memlimit=_MOST_MEMORY) if packed else b""
    if over := len(content) % _KINDS[file.kind].record.size:
        raise UnusableData(
            f"{file.path.name} from {show_time(file.begins)} has {over} bytes after its last whole record; "
            "load it again"
        )
    return content


def _kind_of(path: Path) -> str:
    """The kind of a file by its name; empty if that says none."""
    found = _NAME.fullmatch(path.name)
    return "" if found is None else found["ticks"] or found["candles"]


def _begin_of(path: Path, kind: str) -> int:
    """When the file *path* begins, by the folders it is in. Raises UnusableData if these say nothing."""
    depth = _KINDS[kind].depth
    hour = path.name[:2] if kind == _TICKS else "0"
    try:
        folders = [int(part) for part in path.absolute().parts[-1 - depth : -1]]
        year, month, day = [*folders, *_FIRST_OF_YEAR[depth:]]
        return _nanoseconds(datetime(year, month + 1, day, int(hour), tzinfo=UTC))
    except ValueError:
        where = "/".join(("YEAR", "MONTH", "DAY")[:depth])
        raise UnusableData(
            f"is not in {where} with months from 00, as Dukascopy has it; "
            'say when it begins, in UTC, with start = "2012-12-03 00:00"'
        ) from None


def _symbol_of(file: File) -> str:
    return file.path.absolute().parts[-2 - _KINDS[file.kind].depth]


def _only(what: str, found: set[str], way_out: str) -> str:
    """The only one that is *found*. Raises UnusableData if there is none, or another."""
    if not found:
        raise UnusableData(f"has no file that is called like {_FORM}")
    if len(found) > 1:
        raise UnusableData(f"has files of more than one {what}: {', '.join(sorted(found))}; {way_out}")
    [only] = found
    return only


def _moment_of(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'start is "{text}"; write a time in UTC, such as "2012-12-03 00:00"') from None
    return _nanoseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND
