"""Files of market data: where they are, what their columns mean, and how their text is laid out.

To know one more name of a column, add it to `NAMES`.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import lru_cache, partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from nicegold.clock import Clock
from nicegold.model import Source
from nicegold.quality import UnusableData
from nicegold.timeformat import KNOWN, ReadTime, TimeFormat, UnixTime, recognise_time, show_bytes

#: What columns are called, the best name first. Case, spaces and signs do not count.
NAMES: dict[str, tuple[str, ...]] = {
    "date": ("date", "day"),
    "time": ("datetime", "time", "timestamp", "date", "gmttime", "utctime", "opentime", "tsevent", ""),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c", "last", "price"),
    "volume": ("tickvolume", "tickvol", "volume", "vol", "v", "realvolume"),
    "spread": ("spread",),
    "bid": ("bid", "bidprice", "b"),
    "ask": ("ask", "askprice", "offer", "a"),
    "bid_size": ("bidsize", "bidvolume", "bidvol"),
    "ask_size": ("asksize", "askvolume", "askvol"),
    "symbol": ("symbol", "ticker", "instrument", "pair"),
}
#: What the time of day is called where the date has a column of its own.
_CLOCK_NAMES = ("time", "timestamp", "clock", "hour")

#: Names of a file's columns, by the names that we have for them.
Chosen: TypeAlias = Mapping[str, str]
#: Cuts a line into its fields. Raises ValueError where it does not have as many as the file has.
Split: TypeAlias = Callable[[bytes], list[bytes]]

#: Reads numbers from the fields of a line. Raises ValueError that names what is none.
ReadNumbers: TypeAlias = Callable[[Sequence[bytes]], Sequence[float]]

_ONE = Decimal(1)
_PRICES = frozenset({"open", "high", "low", "close", "bid", "ask"})
#: 1,425 or 1,425.38.
_GROUPED = re.compile(rb"[+-]?\d{1,3}(,\d{3})+(\.\d*)?$")
_TURNED = bytes.maketrans(b".,", b",.")
_COMMA = '; if its comma groups thousands say decimal = ".", if it is the decimal point decimal = ","'
_SEPARATORS = (b"\t", b";", b",")
#: Lines that are looked at to recognise a file.
_SAMPLE = 200
_UTF8_MARK = b"\xef\xbb\xbf"
#: How files begin that are no text, and what to do with them.
_NOT_TEXT = {
    b"\xff\xfe": "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
    b"\x1f\x8b": "is packed with gzip; let its name end in .gz",
    b"PK\x03\x04": "is a zip archive; unpack it",
    b"PAR1": 'is Parquet; read it with use = "parquet"',
}
_LABELLED = re.compile(r":\d\d(\.\d+)? ?[+-]\d\d:?\d\d$")
#: Bytes of a line beyond which it is none.
_LONGEST = 1 << 20
#: Characters of a file that a message shows.
_QUOTED = 200
#: Characters of a line that are kept when it is rejected.
_SHOWN = 500


# Files.


def find_file(path: Path) -> Path:
    """*path*, if there is such a file. Raises UnusableData that says where it was looked for."""
    if path.is_file():
        return path
    if path.is_dir():
        raise UnusableData(f"{path.name} is a folder (in {path.absolute().parent}); name a file in it")
    raise UnusableData(f"there is no file {path.name} (looked in {path.absolute().parent})")


def source_of(path: Path) -> Source:
    """Where the file *path* is, and the SHA-256 of its bytes. Raises UnusableData."""
    with _readable(find_file(path)), path.open("rb") as file:
        return Source(str(path.absolute()), hashlib.file_digest(file, "sha256").hexdigest())


@contextmanager
def about_file(path: Path) -> Iterator[None]:
    """Put the name of *path* before what an UnusableData raised inside says."""
    try:
        yield
    except UnusableData as error:
        raise UnusableData(f"{path.name} {error}") from None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnusableData(f"{path.name} cannot be read: {reason}") from None


# Columns.


def find_columns(names: Sequence[str], chosen: Chosen) -> dict[str, int]:
    """Which of our `NAMES` the columns called *names* have, and where; *chosen* goes first.

    Of two columns with one name the first counts. Raises UnusableData where *chosen* names none.
    """
    plain = [_plain(name) for name in names]
    found = {}
    for ours, known in NAMES.items():
        if ours in chosen:
            found[ours] = _chosen_column(names, ours, chosen[ours])
        elif position := [plain.index(each) for each in known if each in plain and _may_be(each, names)]:
            found[ours] = position[0]
    return found


def refuse_missing(columns: Mapping[str, int], wanted: Sequence[str], names: Sequence[str]) -> None:
    """Raise UnusableData if *columns* lack one that is *wanted*; it shows *names*, and the way out."""
    for name in wanted:
        if name not in columns:
            raise UnusableData(
                f'has no column for "{name}"; it has: {_list(names)}; '
                f'name it with columns = {{{name} = "..."}}'
            )


def refuse_unknown(chosen: Chosen, known: Sequence[str]) -> None:
    """Raise ValueError if *chosen* names what no column is for."""
    for name in chosen:
        if name not in known:
            raise ValueError(f'columns has "{name}"; it may name {", ".join(known)}')


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _may_be(plain: str, names: Sequence[str]) -> bool:
    # Only the first column may have no name: an index that somebody's program wrote.
    return bool(plain) or not names[0].strip()


def _chosen_column(names: Sequence[str], ours: str, theirs: str) -> int:
    for position, name in enumerate(names):
        if theirs.strip() == name.strip() or (_plain(theirs) and _plain(theirs) == _plain(name)):
            return position
    raise UnusableData(f'has no column "{theirs}" for {ours}; it has: {_list(names)}')


def _list(names: Sequence[str]) -> str:
    return _brief(", ".join(name.strip() or '""' for name in names))


def _brief(text: str) -> str:
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."


# Text.


class TextSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about a text file, rather than recognised; empty says nothing.

    *header* is the names of the columns, with commas, of a file that has no line for them.
    """

    separator: str = ""
    header: str = ""
    time_format: str = ""
    columns: Chosen = {}

    def __post_init__(self) -> None:
        if len(self.separator.encode()) > 1:
            raise ValueError(f'separator is "{self.separator}"; it must be one character')
        if self.time_format:
            TimeFormat.parse(self.time_format)
        refuse_unknown(self.columns, tuple(NAMES))


class TextTable(msgspec.Struct, frozen=True, kw_only=True):
    """A text file with a bar or a quote a line, as it was recognised.

    *sample* is its first lines of data, after *skipped* lines without. *width* is how many fields
    they have, *columns* where what is, *times* the columns of the time: one, or two.
    """

    path: Path
    sample: tuple[bytes, ...]
    skipped: int
    separator: bytes
    is_quoted: bool
    width: int
    columns: dict[str, int]
    times: tuple[int, ...]
    time_format: TimeFormat | UnixTime

    def lines(self) -> Iterator[bytes]:
        """The lines of data, one after another. Raises UnusableData where the file breaks off."""
        with _readable(self.path), _open(self.path) as file:
            yield from islice(file, self.skipped, None)

    def splitter(self) -> Split:
        """The function that cuts a line into its fields."""
        separator, width = self.separator, self.width
        quoted = _split_quoted(separator) if self.is_quoted else None

        def exact(line: bytes) -> list[bytes]:
            fields = line.rstrip(b"\r\n").split(separator) if quoted is None else quoted(line)
            if len(fields) != width:
                raise ValueError(f"it has {len(fields)} fields, not {width}")
            return fields

        return exact if "symbol" not in self.columns else self._of_one_symbol(exact)

    def time_reader(self, clock: Clock) -> ReadTime:
        """The function that reads the time of a line from its fields, in ns UTC."""
        return self.time_format.reader(self.times, clock)

    def number_reader(self, names: Sequence[str], *, decimal: str = "", scale: Decimal = _ONE) -> ReadNumbers:
        """The function that reads the numbers called *names* from the fields of a line.

        *decimal* is their decimal point; if it is empty, a comma is refused where it could be one.
        Prices are divided by *scale*.
        """
        columns = {name: self.columns[name] for name in names}
        read = _exact_reader(columns, decimal, scale)
        if decimal != "," and scale == 1 and not self.is_quoted:
            return _quick_reader(list(columns.values()), read)
        return read

    def _of_one_symbol(self, split: Split) -> Split:
        """*split* for a file whose lines name a symbol: that of the first line."""
        column = self.columns["symbol"]
        mine = next(fields for line in self.sample if (fields := _cut(split, line)))[column]

        def checked(line: bytes) -> list[bytes]:
            fields = split(line)
            if fields[column] != mine:
                raise ValueError(f'it is of "{show_bytes(fields[column])}", not of "{show_bytes(mine)}"')
            return fields

        return checked


def read_table(
    path: Path, settings: TextSettings, wanted: Sequence[str], layouts: Sequence[Sequence[str]]
) -> TextTable:
    """Recognise the text file *path*, which must have columns for what is *wanted*.

    *layouts* are what may follow the time in a file without header. Raises UnusableData that says
    what is not recognised and how to declare it.
    """
    head = _head(find_file(path))
    with about_file(path):
        if not any(line.strip() for line in head):
            raise UnusableData("is empty")
        return _Recognition(path, head, settings).table(wanted, layouts)


def multiplier(unit: Decimal) -> Callable[[float], float]:
    """The function that multiplies by *unit* as people do: 35 points of 0.01 are 0.35.

    It remembers, since a file has few spreads; in floats 35 * 0.01 is 0.35000000000000003.
    """
    return lru_cache(maxsize=1024)(lambda value: float(Decimal(repr(value)) * unit))


def show_line(line: bytes) -> str:
    """*line* for a person; empty where it is blank."""
    text = show_bytes(line.strip())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _head(path: Path) -> list[bytes]:
    with _readable(path), _open(path) as file:
        begin = file.peek(max(map(len, _NOT_TEXT)))
        for mark, reason in _NOT_TEXT.items():
            if begin.startswith(mark):
                raise UnusableData(f"{path.name} {reason}")
        lines = list(islice(iter(partial(file.readline, _LONGEST), b""), _SAMPLE))
    if max(map(len, lines), default=0) == _LONGEST:
        raise UnusableData(f"{path.name} has a line without end; is it text?")
    return lines


@contextmanager
def _open(path: Path) -> Iterator[io.BufferedReader]:
    """The bytes of *path*, unpacked, after a byte order mark."""
    with path.open("rb") as file:
        unpacked: Any = io.BufferedReader(gzip.GzipFile(fileobj=file)) if path.suffix == ".gz" else file
        if unpacked.peek(len(_UTF8_MARK)).startswith(_UTF8_MARK):
            unpacked.read(len(_UTF8_MARK))
        yield unpacked


def _quick_reader(columns: Sequence[int], exact: ReadNumbers) -> ReadNumbers:
    """Reads plain numbers as JSON: several times as fast as float(). *exact* reads what is not JSON."""
    decode = msgspec.json.Decoder(tuple[(float,) * len(columns)]).decode  # type: ignore[misc]
    first, last = columns[0], columns[-1]
    if list(columns) == list(range(first, last + 1)):
        pick: Callable[[Sequence[bytes]], Sequence[bytes]] = itemgetter(slice(first, last + 1))
    else:
        pick = itemgetter(*columns)

    def read(fields: Sequence[bytes]) -> Sequence[float]:
        try:
            return decode(b"[%b]" % b",".join(pick(fields)))  # type: ignore[no-any-return]
        except ValueError:
            return exact(fields)

    return read


def _exact_reader(columns: Mapping[str, int], decimal: str, scale: Decimal) -> ReadNumbers:
    plain_of = {"": _plain_if_certain, ".": _plain_of_point, ",": _plain_of_comma}[decimal]
    divisor = float(scale)

    def number(name: str, text: bytes) -> float:
        try:
            # To Python 1_000 is a number too.
            value = float(plain_of(text).replace(b"_", b"?"))
        except ValueError:
            hint = _COMMA if b"," in text and not decimal else ""
            raise ValueError(f'{name} is "{show_bytes(text)}", not a number{hint}') from None
        return value / divisor if name in _PRICES else value

    return lambda fields: [number(name, fields[column].strip()) for name, column in columns.items()]


def _plain_if_certain(text: bytes) -> bytes:
    # 1,425 may be 1425, or a little more than 1; 1,425.38 is certain.
    return _plain_of_point(text) if b"." in text else text


def _plain_of_point(text: bytes) -> bytes:
    return text.replace(b",", b"") if _GROUPED.match(text) else text


def _plain_of_comma(text: bytes) -> bytes:
    turned = text.translate(_TURNED)
    return _plain_of_point(turned)


def _cut(split: Split, line: bytes) -> list[bytes]:
    """The fields of *line*, or none if it does not have them."""
    try:
        return split(line)
    except ValueError:
        return []


def _split_quoted(separator: bytes) -> Split:
    delimiter = separator.decode("latin-1")

    def split(line: bytes) -> list[bytes]:
        try:
            (fields,) = csv.reader([line.decode("latin-1").rstrip("\r\n")], delimiter=delimiter)
        except (csv.Error, ValueError):
            raise ValueError("it cannot be cut into fields") from None
        return [field.encode("latin-1") for field in fields]

    return split


class _Recognition:
    """What the first lines of a file, *head*, and its *settings* say about it."""

    def __init__(self, path: Path, head: Sequence[bytes], settings: TextSettings) -> None:
        self._path = path
        self._chosen = settings.columns
        self._forms = (TimeFormat.parse(settings.time_format),) if settings.time_format else KNOWN
        self._blank = next(number for number, line in enumerate(head) if line.strip())
        lines = [line for line in head if line.strip()]
        self._separator = settings.separator.encode() or _likely_separator(lines)
        self._is_quoted = any(b'"' in line for line in lines)
        self._names = settings.header.split(",") if settings.header else self._header_in(lines[0])
        header = int(bool(self._names) and not settings.header)
        self._skipped = self._blank + header
        self._sample = tuple(lines[header:])
        rows = list(filter(None, map(self._fields, self._sample)))
        self._width = self._width_of([len(row) for row in rows])
        self._rows = [row for row in rows if len(row) == self._width]

    def table(self, wanted: Sequence[str], layouts: Sequence[Sequence[str]]) -> TextTable:
        """The whole. Raises UnusableData."""
        if not self._rows:
            raise UnusableData("has a header and nothing after it")
        if self._names:
            columns = find_columns(self._names, self._chosen)
            refuse_missing(columns, ("time", *wanted) if "date" not in columns else wanted, self._names)
            candidates = _time_candidates(self._names, self._chosen)
        else:
            columns, candidates = self._laid_out(layouts)
        self._refuse_outside(columns)
        times, form = self._time(candidates)
        return TextTable(
            path=self._path,
            sample=self._sample,
            skipped=self._skipped,
            separator=self._separator,
            is_quoted=self._is_quoted,
            width=self._width,
            columns=columns,
            times=times,
            time_format=form,
        )

    def _width_of(self, widths: Sequence[int]) -> int:
        """How many fields a line has: as many as there are names, or as most lines have."""
        if len(self._names) in widths:
            return len(self._names)
        return Counter(widths).most_common(1)[0][0] if widths else 0

    def _fields(self, line: bytes) -> list[str]:
        split = _split_quoted(self._separator)
        fields = _cut(split, line) if self._is_quoted else line.split(self._separator)
        return [show_bytes(field).strip() for field in fields]

    def _header_in(self, line: bytes) -> list[str]:
        """The names in *line*, or none if it is data."""
        fields = self._fields(line)
        if self._time_in(fields) is not None:
            return []
        names = {name for known in NAMES.values() for name in known if name}
        names |= {_plain(name) for name in self._chosen.values()}
        is_header = any(_plain(field) in names for field in fields) or not any(map(_is_number, fields))
        return fields if is_header else []

    def _laid_out(self, layouts: Sequence[Sequence[str]]) -> tuple[dict[str, int], list[tuple[int, ...]]]:
        """The columns of a file without header: a symbol or nothing, the time, and one of *layouts*."""
        times = next(filter(None, map(self._time_in, self._rows)), None)
        if times is None:
            raise self._unknown_time(self._rows[0][0])
        first = times[-1] + 1
        layout = next((each for each in layouts if len(each) == self._width - first), None)
        if layout is None or times[0] > 1:
            raise UnusableData(
                f"has no header and {self._width} columns; name them with "
                f'header = "time,{",".join(layouts[-1])}"'
            )
        columns = {name: first + number for number, name in enumerate(layout)}
        return columns | ({"symbol": 0} if times[0] else {}), [times]

    def _refuse_outside(self, columns: Mapping[str, int]) -> None:
        is_declared = bool(self._names) and self._skipped == self._blank
        if max(columns.values()) >= self._width or (is_declared and len(self._names) != self._width):
            raise UnusableData(
                f"has {len(self._names)} names of columns, and {self._width} fields in most lines; "
                'if its separator is another, say so with separator = ";"'
            )

    # The time.

    def _time_in(self, fields: Sequence[str]) -> tuple[int, ...] | None:
        """The first columns of *fields* in which there is a time, if any."""
        for column, field in enumerate(fields):
            # An integer price after a date could be taken for a time of day without colon.
            pair = f"{field} {fields[column + 1]}" if ":" in "".join(fields[column + 1 : column + 2]) else ""
            if pair and recognise_time([pair], self._forms):
                return column, column + 1
            if recognise_time([field], self._forms):
                return (column,)
        return None

    def _time(self, candidates: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], TimeFormat | UnixTime]:
        texts: list[str] = []
        for times in candidates:
            if max(times) < self._width:
                texts = [" ".join(row[column] for column in times) for row in self._rows]
                form = recognise_time(texts, self._forms)
                if form is not None:
                    return times, form
        raise self._unknown_time(texts[0] if texts else "")

    def _unknown_time(self, text: str) -> UnusableData:
        if _LABELLED.search(text):
            return UnusableData(
                f'labels its times: "{_brief(text)}"; write them in UTC, or without a label, and declare '
                "their clock with timezone"
            )
        unlike = f"not in {self._forms[0]}" if len(self._forms) == 1 else "in no form that is known"
        return UnusableData(
            f'writes its times {unlike}: "{_brief(text)}"; say how with time_format = "%d/%m/%Y %H:%M"'
        )


def _likely_separator(lines: Sequence[bytes]) -> bytes:
    """The first that cuts most of *lines* into three fields or more."""
    for separator in _SEPARATORS:
        if sum(line.count(separator) > 1 for line in lines) * 2 > len(lines):
            return separator
    return _SEPARATORS[-1]


def _time_candidates(names: Sequence[str], chosen: Chosen) -> list[tuple[int, ...]]:
    """Where the time may be, the likeliest first: date and time of day, or one column."""
    plain = [_plain(name) for name in names]
    columns = find_columns(names, chosen)
    clocks = [columns["time"]] if "time" in chosen else []
    clocks += [plain.index(name) for name in _CLOCK_NAMES if name in plain]
    days = [columns["date"]] if "date" in columns else []
    ones = [columns[name] for name in ("time", "date") if name in columns]
    ones += [plain.index(name) for name in NAMES["time"] if name in plain and _may_be(name, names)]
    pairs = [(day, clock) for day in days for clock in clocks if clock != day]
    return [*pairs, *((column,) for column in dict.fromkeys(ones))]


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
