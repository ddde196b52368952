"""Tables of market data in text: how they are laid out, and how a line is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec

from nicegold.clock import Clock
from nicegold.columns import (
    NAMES,
    PRICES,
    Chosen,
    find_columns,
    listed,
    plain_name,
    refuse_missing,
    refuse_unknown,
    shortened,
    time_candidates,
)
from nicegold.fields import (
    NO_COLUMN,
    Decode,
    ReadRow,
    Split,
    carrying_reader,
    cut,
    decoder_of,
    exact_reader,
    line_reader,
    number_reader,
    quick_reader,
    quoted_splitter,
    row_reader,
    scaled_reader,
    splitter,
)
from nicegold.files import TextFile, about_file, open_text
from nicegold.quality import UnusableData
from nicegold.timeformat import (
    KNOWN,
    ReadTime,
    TimeFormat,
    UnixTime,
    recognise_slashed,
    recognise_time,
    show_bytes,
)

_ONE = Decimal(1)
_SEPARATORS = (b"\t", b";", b",")
_SEPARATOR_NAMES = {b"\t": "tabs", b";": "semicolons", b",": "commas"}


class TextSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about a text file, rather than recognised; empty says nothing.

    *header* is the names of the columns, with commas, of a file that has no line for them. Prices
    in it are *scale* times the price. *member* is the file's name in a zip archive.
    """

    separator: str = ""
    decimal: Literal["", ".", ","] = ""
    header: str = ""
    time_format: str = ""
    columns: Chosen = {}
    scale: Decimal = _ONE
    order: Literal["", "oldest", "newest"] = ""
    member: str = ""
    encoding: str = ""

    def __post_init__(self) -> None:
        if len(self.separator.encode()) > 1:
            raise ValueError(f'separator is "{self.separator}"; it must be one character')
        if self.time_format:
            TimeFormat.parse(self.time_format)
        refuse_unknown(self.columns, tuple(NAMES))
        if not self.scale > 0:
            raise ValueError(f"scale must be above 0: it is {self.scale}")


class Rows(msgspec.Struct, frozen=True):
    """*lines* of data in the order of time; the number of the *first*, and of each next a *step* more."""

    lines: Iterable[bytes]
    first: int
    step: int


class TextTable(msgspec.Struct, frozen=True, kw_only=True):
    """A text file with a bar or a quote a line, as it was recognised.

    *sample* is its first lines, after *skipped* lines without data. *width* is how many fields they
    have, *names* what these are called, if they are, *columns* where what is, and *times* the
    columns of the time: one, or two. *newest_first* says that time runs backwards in it.
    """

    file: TextFile
    settings: TextSettings
    sample: tuple[bytes, ...]
    skipped: int
    separator: bytes
    is_quoted: bool
    width: int
    names: tuple[str, ...]
    columns: dict[str, int]
    times: tuple[int, ...]
    time_format: TimeFormat | UnixTime
    newest_first: bool

    def rows(self) -> Rows:
        """All lines of data. Raises UnusableData, also on the way where the file breaks off."""
        if self.newest_first:
            return Rows(self.file.lines_from_the_end(self.skipped), self.file.count_lines(), -1)
        return Rows(self.file.lines(self.skipped), self.skipped + 1, 1)

    def sample_rows(self) -> Rows:
        """The *sample* of them."""
        if self.newest_first:
            return Rows(self.sample[::-1], self.skipped + len(self.sample), -1)
        return Rows(self.sample, self.skipped + 1, 1)

    def reader(self, names: Sequence[str], clock: Clock, *, carries: bool = False) -> ReadRow:
        """The function that reads the time of a line, and its numbers called *names*; 0 without a column.

        A comma in a number is refused where it could be a decimal point and nobody says which it
        is. A blank is what the line before had, where *carries* says so.
        """
        read = self._unscaled_reader(
            {name: self.columns.get(name, NO_COLUMN) for name in names}, clock, carries
        )
        if self.settings.scale == 1:
            return read
        return scaled_reader(read, [float(self.settings.scale) if name in PRICES else 1.0 for name in names])

    def _unscaled_reader(self, columns: Mapping[str, int], clock: Clock, carries: bool) -> ReadRow:
        split, time_of = self._splitter(), self._time_reader(clock)
        number = number_reader(self.settings.decimal)
        if carries:
            return row_reader(split, time_of, carrying_reader(columns, number))
        exact = exact_reader(columns, number)
        if self.settings.decimal == "," or self.is_quoted:
            return row_reader(split, time_of, exact)
        used = list(columns.values())
        quick = row_reader(split, time_of, quick_reader(used, exact))
        lead = max(self.times) + 1
        decode = decoder_of(self.width - lead)
        if not self._ends_in_numbers(lead, used, decode):
            return quick
        return line_reader(self.separator, lead, decode, used, time_of, quick)

    def describe(self, names: Sequence[str]) -> list[str]:
        """What was recognised, for a person, where *names* are read: such as "times: like %Y-%m-%d"."""
        header = "declared names" if self.settings.header else "a header" if self.names else "no header"
        order = "newest" if self.newest_first else "oldest"
        separator = _SEPARATOR_NAMES.get(self.separator, f'"{show_bytes(self.separator)}"')
        quotes = ", quotes" if self.is_quoted else ""
        return [
            f"file: {self.file}",
            f"lines: {separator} between fields{quotes}, {header}, {order} first",
            f"columns: {', '.join(self._said_columns(names))}",
            f"times: like {self.time_format}, such as {self._shown_time()}",
            *self._said_numbers(),
        ]

    def _said_numbers(self) -> list[str]:
        settings = self.settings
        scale = [f"prices are divided by {settings.scale:,}"] if settings.scale != 1 else []
        decimal = [f'the decimal point is "{settings.decimal}"'] if settings.decimal else []
        return [f"numbers: {', '.join([*scale, *decimal])}"] if scale or decimal else []

    def _said_columns(self, names: Sequence[str]) -> list[str]:
        def name(column: int) -> str:
            if column >= len(self.names):
                return str(column + 1)
            return self.names[column].strip() or "the one without a name"

        columns = {ours: self.columns[ours] for ours in ("symbol", *names) if ours in self.columns}
        said = {
            "time": " and ".join(map(name, self.times)),
            **{ours: name(columns[ours]) for ours in columns},
        }
        unused = [name(each) for each in range(self.width) if each not in {*columns.values(), *self.times}]
        read = [f"{ours} is {theirs}" for ours, theirs in said.items()]
        return [*read, f"not read: {listed(unused)}"] if unused else read

    def _shown_time(self) -> str:
        fields = next(filter(None, (cut(self._splitter(), line) for line in self.sample)))
        return " ".join(show_bytes(fields[column]).strip() for column in self.times)

    def _splitter(self) -> Split:
        return splitter(self.separator, self.width, is_quoted=self.is_quoted)

    def _time_reader(self, clock: Clock) -> ReadTime:
        """The function that reads the time of a line from its fields; of one symbol, if they name it."""
        time_of = self.time_format.reader(self.times, clock)
        if "symbol" not in self.columns:
            return time_of
        column = self.columns["symbol"]
        split = self._splitter()
        mine = next(fields for line in self.sample if (fields := cut(split, line)))[column]

        def checked(fields: Sequence[bytes]) -> int:
            if fields[column] != mine:
                raise ValueError(f'it is of "{show_bytes(fields[column])}", not of "{show_bytes(mine)}"')
            return time_of(fields)

        return checked

    def _ends_in_numbers(self, lead: int, columns: Sequence[int], decode: Decode) -> bool:
        """Whether the sample has nothing but numbers behind the first *lead* columns."""
        used = [column for column in columns if column != NO_COLUMN]
        if min(used) < lead or self.columns.get("symbol", -1) >= lead:
            return False
        split = self._splitter()
        try:
            for fields in filter(None, (cut(split, line) for line in self.sample)):
                decode(b"[%b]" % b",".join(fields[lead:]))
        except ValueError:
            return False
        return True


def read_table(
    path: Path, settings: TextSettings, wanted: Sequence[str], layouts: Sequence[Sequence[str]]
) -> TextTable:
    """Recognise the text file *path*, which must have columns for what is *wanted*.

    *layouts* are what may follow the time in a file without header. Raises UnusableData that says
    what is not recognised and how to declare it.
    """
    file = open_text(path, settings.member, settings.encoding)
    head = file.head()
    with about_file(path):
        if not any(line.strip() for line in head):
            raise UnusableData("is empty")
        return _Recognition(file, head, settings).table(wanted, layouts)


class _Recognition:
    """What the first lines of a file, *head*, and its *settings* say about it."""

    def __init__(self, file: TextFile, head: Sequence[bytes], settings: TextSettings) -> None:
        self._file = file
        self._settings = settings
        self._chosen = settings.columns
        self._forms = (TimeFormat.parse(settings.time_format),) if settings.time_format else KNOWN
        self._blank = next(number for number, line in enumerate(head) if line.strip())
        lines = [line for line in head if line.strip()]
        self._separator = settings.separator.encode() or _likely_separator(lines)
        self._is_quoted = any(b'"' in line for line in lines)
        self._names = settings.header.split(",") if settings.header else self._header_in(lines[0])
        header = int(bool(self._names) and not settings.header)
        self._skipped = self._blank + header
        # Blank lines count too.
        self._sample = tuple(head[self._skipped :])
        rows = list(filter(None, map(self._fields, lines[header:])))
        self._width = self._width_of([len(row) for row in rows])
        self._rows = [row for row in rows if len(row) == self._width]

    def table(self, wanted: Sequence[str], layouts: Sequence[Sequence[str]]) -> TextTable:
        """The whole. Raises UnusableData."""
        if not self._rows:
            raise UnusableData("has a header and nothing after it")
        if self._names:
            columns = find_columns(self._names, self._chosen)
            refuse_missing(columns, ("time", *wanted) if "date" not in columns else wanted, self._names)
            candidates = time_candidates(self._names, self._chosen)
        else:
            columns, candidates = self._laid_out(layouts)
        self._refuse_outside(columns)
        times, form = self._time(candidates)
        return TextTable(
            file=self._file,
            settings=self._settings,
            sample=self._sample,
            skipped=self._skipped,
            separator=self._separator,
            is_quoted=self._is_quoted,
            width=self._width,
            names=tuple(self._names),
            columns=columns,
            times=times,
            time_format=form,
            newest_first=self._newest_first(times, form),
        )

    def _width_of(self, widths: Sequence[int]) -> int:
        """How many fields a line has: as many as there are names, or as most lines have."""
        if len(self._names) in widths:
            return len(self._names)
        return Counter(widths).most_common(1)[0][0] if widths else 0

    def _fields(self, line: bytes) -> list[str]:
        split = quoted_splitter(self._separator)
        fields = cut(split, line) if self._is_quoted else line.split(self._separator)
        return [show_bytes(field).strip() for field in fields]

    def _header_in(self, line: bytes) -> list[str]:
        """The names in *line*, or none if it is data."""
        fields = self._fields(line)
        if self._time_in(fields) is not None:
            return []
        names = {name for known in NAMES.values() for name in known if name}
        names |= {plain_name(name) for name in self._chosen.values()}
        is_header = any(plain_name(field) in names for field in fields) or not any(map(_is_number, fields))
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
        readable = [times for times in candidates if max(times) < self._width]
        for recognise in (self._known_form, self._slashed_form):
            for times in readable:
                form = recognise([" ".join(row[column] for column in times) for row in self._rows])
                if form is not None:
                    return times, form
        raise self._unknown_time(
            " ".join(self._rows[0][column] for column in readable[0]) if readable else ""
        )

    def _known_form(self, texts: Sequence[str]) -> TimeFormat | UnixTime | None:
        return recognise_time(texts, self._forms)

    def _slashed_form(self, texts: Sequence[str]) -> TimeFormat | None:
        forms = () if self._settings.time_format else recognise_slashed(texts)
        if len(forms) > 1:
            ways = " or ".join(f'time_format = "{form}"' for form in forms)
            raise UnusableData(f'writes "{shortened(texts[0])}", which may be of two months; say {ways}')
        return next(iter(forms), None)

    def _unknown_time(self, text: str) -> UnusableData:
        unlike = f"not in {self._forms[0]}" if len(self._forms) == 1 else "in no form that is known"
        return UnusableData(
            f'writes its times {unlike}: "{shortened(text)}"; say how with time_format = "%d/%m/%Y %H:%M"'
        )

    def _newest_first(self, times: tuple[int, ...], form: TimeFormat | UnixTime) -> bool:
        """Whether most steps in time are back, and more than one is."""
        if self._settings.order:
            return self._settings.order == "newest"
        time_of = form.reader(times, Clock())
        seen = [time for row in self._rows if (time := _try(time_of, [field.encode() for field in row]))]
        back = sum(after < before for before, after in pairwise(seen))
        return back > max(1, sum(after > before for before, after in pairwise(seen)))


def _try(time_of: ReadTime, fields: Sequence[bytes]) -> int | None:
    try:
        return time_of(fields)
    except ValueError:
        return None


def _likely_separator(lines: Sequence[bytes]) -> bytes:
    """The first that cuts most of *lines* into three fields or more."""
    for separator in _SEPARATORS:
        if sum(line.count(separator) > 1 for line in lines) * 2 > len(lines):
            return separator
    return _SEPARATORS[-1]


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
