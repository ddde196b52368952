"""Times as files write them, read into what the file's own clock showed.

To recognise one more way of writing a time, add it to `DATES`, `CLOCKS` or `_UNIX`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import TypeAlias

import msgspec

from nicegold.clock import Clock, Reading
from nicegold.sessions import DAY, SECOND

#: Dates that are recognised, in strptime's notation.
DATES = ("%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y")
#: Times of day that are recognised. Seconds may have a fraction; `%f` alone is for 170000065.
CLOCKS = ("%H:%M:%S", "%H:%M", "%H%M%S", "%H%M", "%H%M%S%f", "%I:%M:%S %p", "%I:%M %p")
#: These look alike: they are told apart by days above 12, or must be declared.
SLASHED = ("%d/%m/%Y", "%m/%d/%Y")
#: Counts from 1970 that are recognised: how many digits stand for which unit in ns.
_UNIX = {10: SECOND, 13: SECOND // 1000, 16: SECOND // 1_000_000, 19: 1}

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DIRECTIVES = {
    "%Y": r"(?P<year>\d{4})",
    "%y": r"(?P<year>\d\d)",
    "%m": r"(?P<month>\d\d?)",
    "%b": r"(?P<month>[A-Za-z]{3})",
    "%d": r"(?P<day>\d\d?)",
    "%H": r"(?P<hour>\d\d?)",
    "%I": r"(?P<hour>\d\d?)",
    "%M": r"(?P<minute>\d\d?)",
    "%S": r"(?P<second>\d\d?)",
    "%p": r"(?P<half>[APap][Mm])",
}
#: A label of UTC is read over: the clock is declared, and many a file that says so shows another.
#: One of another offset must agree with the declared clock.
_LABEL = r" ?(?:Z|UTC|GMT|(?P<sign>[+-])(?P<ahead>[01]\d(?::?[0-5]\d)?))"
_LABEL_AT_END = re.compile(_LABEL.encode() + rb"$")
_WHOLE = re.compile(r"(?P<date>.*%[Yymbd])(?:(?P<joiner>[^%])(?P<clock>%[HI].*))?")
_FRACTION = re.compile(r"(?P<whole>.*%S)(?P<point>[.,]?)%f")
_DIGITS_OF_FRACTION = 9
_MOST_DIGITS = 19
_DIGITS_REMEMBERED = 3
_UNIX_DAY = date(1970, 1, 1).toordinal()
#: Thailand counts years from the Buddha's death, 543 before the common era.
_BUDDHIST_FROM, _BUDDHIST = 2400, 543

#: Reads the time of a line, in ns UTC, from its fields. Raises ValueError for what is not a time.
ReadTime: TypeAlias = Callable[[Sequence[bytes]], int]


class TimeFormat(msgspec.Struct, frozen=True):
    """A date and, after *joiner*, a time of day (none if *clock* is empty), in strptime's notation.

    The same in every locale. Years above 2400 are Buddhist.
    """

    date: str
    joiner: str = ""
    clock: str = ""

    @classmethod
    def parse(cls, text: str) -> TimeFormat:
        """Read a format such as ``%d/%m/%Y %H:%M``. Raises ValueError that shows what is known."""
        found = _WHOLE.fullmatch(text)
        if found is None or (found["joiner"] and found["joiner"] in found["date"]):
            raise ValueError(
                f'time_format is "{text}"; write a date and, after one character that is not in it, '
                'a time of day, such as "%d/%m/%Y %H:%M"'
            )
        form = cls(found["date"], found["joiner"] or "", found["clock"] or "")
        _refuse_incomplete(form)
        return form

    def __str__(self) -> str:
        return self.date + self.joiner + self.clock

    def matches(self, text: str) -> bool:
        """Whether *text* looks like this."""
        return _shape(self).fullmatch(text) is not None

    def reader(self, columns: Sequence[int], clock: Clock) -> ReadTime:
        """The function that reads the time from the fields at *columns*: one, or date and time of day."""
        texts = _Texts(self, clock.reader())
        if len(columns) > 1:
            return _reader_of_two(columns[0], columns[1], texts)
        if self.clock:
            return _reader_of_one(columns[0], self.joiner.encode(), texts)
        column = columns[0]
        return lambda fields: texts.time(fields[column])


class UnixTime(msgspec.Struct, frozen=True):
    """A count of *unit* ns since 1970, written with so many *digits*."""

    digits: int
    unit: int

    def __str__(self) -> str:
        return f"{self.digits} digits since 1970"

    def matches(self, text: str) -> bool:
        """Whether *text* looks like this."""
        return len(text) == self.digits and text.isascii() and text.isdigit()

    def reader(self, columns: Sequence[int], clock: Clock) -> ReadTime:
        """The function that reads the time from the field at *columns*."""
        (column,), unit, time = columns, self.unit, clock.reader().time

        def read(fields: Sequence[bytes]) -> int:
            text = fields[column]
            # No count of ns that is a time has more digits, and Python shows no number of thousands.
            if not text.isdigit() or len(text) > _MOST_DIGITS:
                raise ValueError(f'"{show_bytes(text)}" is not a count since 1970')
            return time(int(text) * unit)

        return read


KNOWN: tuple[TimeFormat | UnixTime, ...] = (
    *(UnixTime(digits, unit) for digits, unit in _UNIX.items()),
    *(TimeFormat(date, joiner, clock) for clock in CLOCKS for date in DATES for joiner in " T"),
    *(TimeFormat(date) for date in DATES),
)

_SLASHED = (*(TimeFormat(SLASHED[0], " ", clock) for clock in CLOCKS), TimeFormat(SLASHED[0]))


def recognise_time(
    texts: Iterable[str], forms: Sequence[TimeFormat | UnixTime] = KNOWN
) -> TimeFormat | UnixTime | None:
    """The form that most of *texts* have, or None if none has any."""
    found = list(texts)
    best = max(forms, key=lambda form: sum(map(form.matches, found)))
    return best if any(map(best.matches, found)) else None


def recognise_slashed(texts: Iterable[str]) -> tuple[TimeFormat, ...]:
    """The forms of `SLASHED` in which all that looks like 5/1/2015 among *texts* is a date."""
    found = list(texts)
    form = recognise_time(found, _SLASHED)
    if not isinstance(form, TimeFormat):
        return ()
    alike = [text.partition(form.joiner)[0] if form.clock else text for text in found if form.matches(text)]
    forms = [TimeFormat(date, form.joiner, form.clock) for date in SLASHED]
    return tuple(each for each in forms if all(_is_date(each.date, text) for text in alike))


def show_bytes(text: bytes) -> str:
    """*text* for a person, whatever bytes it has."""
    return text.decode("utf-8", "backslashreplace")


def _reader_of_one(column: int, joiner: bytes, texts: _Texts) -> ReadTime:
    midnights, clocks, time = texts.midnights, texts.clocks, texts.time

    def read(fields: Sequence[bytes]) -> int:
        date, _, clock = fields[column].partition(joiner)
        try:
            return midnights[date] + clocks[clock]
        except KeyError:
            return time(date, clock)

    return read


def _reader_of_two(day: int, clock: int, texts: _Texts) -> ReadTime:
    midnights, clocks, time = texts.midnights, texts.clocks, texts.time

    def read(fields: Sequence[bytes]) -> int:
        try:
            return midnights[fields[day]] + clocks[fields[clock]]
        except KeyError:
            return time(fields[day], fields[clock])

    return read


class _Texts:
    """Times by their text: a file repeats its dates, and its times of day, many times."""

    def __init__(self, form: TimeFormat, reading: Reading) -> None:
        self._form = form
        self._reading = reading
        self._pattern = _pattern(form.date)
        self._days: dict[bytes, int] = {}
        #: The beginning of each day, in ns UTC, but of those on which the clock is changed.
        self.midnights: dict[bytes, int] = {}
        self.clocks = _Clocks(form.clock)

    def time(self, date: bytes, clock: bytes | None = None) -> int:
        """The time of two texts, in ns UTC. Raises ValueError."""
        if clock is None and date in self.midnights:
            return self.midnights[date]
        day = self._days[date] if date in self._days else self._day(date)
        label = _LABEL_AT_END.search(clock or b"")
        if clock and label and (ahead := _ahead(label)):
            return self._reading.labelled(day + self._unlabelled(clock[: label.start()]), ahead)
        of_day = 0 if clock is None else self._unlabelled(clock)
        midnight = self._reading.midnight(day)
        if midnight is None:
            return self._reading.time(day + of_day)
        self.midnights[date] = midnight
        return midnight + of_day

    def _unlabelled(self, clock: bytes) -> int:
        try:
            return self.clocks[clock]
        except KeyError:
            raise ValueError(f'"{show_bytes(clock)}" is not a time of day like {self._form.clock}') from None

    def _day(self, text: bytes) -> int:
        shown = show_bytes(text)
        found = self._pattern.fullmatch(shown.strip())
        if found is None:
            raise ValueError(f'"{shown}" is not a date like {self._form.date}')
        try:
            day = self._days[text] = _date(found)
            return day
        except ValueError as error:
            raise ValueError(f'"{shown}" is not a date: {error}') from None


class _Clocks(dict[bytes, int]):
    """Times of day by their text, without fractions: there are only so many.

    Raises KeyError for one whose label is another than UTC: the date decides whether that is true.
    """

    def __init__(self, form: str) -> None:
        self._form = form
        whole, self._point = _whole_seconds(form)
        self._pattern = _pattern(whole, label=True)
        self._width = len("HHMMSS") if whole != form and not self._point else 0
        self._fractions: dict[bytes, int] = {}

    def __missing__(self, text: bytes) -> int:
        width = self._width
        if width:
            whole, fraction = text[:width], text[width:]
        elif self._point:
            whole, _, fraction = text.partition(self._point)
        else:
            whole, fraction = text, b""
        if fraction:
            return self[whole] + (self._fractions.get(fraction) or self._fraction(fraction))
        shown = show_bytes(text)
        found = self._pattern.fullmatch(shown.strip())
        if _ahead(_LABEL_AT_END.search(text)):
            raise KeyError(text)
        value = None if found is None else _clock(found)
        if value is None:
            raise ValueError(f'"{shown}" is not a time of day like {self._form}')
        self[text] = value
        return value

    def _fraction(self, text: bytes) -> int:
        label = None if text.isdigit() else _LABEL_AT_END.search(text)
        if _ahead(label):
            raise KeyError(text)
        digits = text if label is None else text[: label.start()]
        if not digits.isdigit() or len(digits) > _DIGITS_OF_FRACTION:
            raise ValueError(f'"{show_bytes(text)}" is not a fraction of a second')
        value = int(digits.ljust(_DIGITS_OF_FRACTION, b"0"))
        # There are a thousand milliseconds, but too many microseconds to be remembered.
        if len(digits) <= _DIGITS_REMEMBERED:
            self._fractions[text] = value
        return value


def _whole_seconds(form: str) -> tuple[str, bytes]:
    """*form* without its fraction, and what stands before that; nothing does in 170000065."""
    found = _FRACTION.fullmatch(form)
    if found is not None:
        return found["whole"], found["point"].encode()
    return form, b"." if form.endswith("%S") and "." not in form else b""


def _refuse_incomplete(form: TimeFormat) -> None:
    parts = re.findall("%.", str(form))
    needed = [("%Y", "%y"), ("%m", "%b"), ("%d",)]
    needed += [("%H", "%I"), ("%M",)] if form.clock else []
    needed += [("%p",)] if "%I" in parts else []
    for each in needed:
        if sum(map(parts.count, each)) != 1:
            raise ValueError(f'time_format is "{form}"; it must have {" or ".join(each)} once')
    whole, point = _whole_seconds(form.clock)
    if point and point.decode() in whole:
        raise ValueError(f'time_format is "{form}"; what stands before %f may stand nowhere else in it')
    _shape(form)


@lru_cache(maxsize=512)
def _shape(form: TimeFormat) -> re.Pattern[str]:
    """What a text of *form* looks like; the values may be impossible."""
    text = _expression(form.date) + re.escape(form.joiner)
    if form.clock:
        whole, point = _whole_seconds(form.clock)
        fraction = rf"(?:{re.escape(point.decode())}\d{{1,9}})" if point or whole != form.clock else ""
        optional = "?" if point else ""
        text += f"{_expression(whole)}{fraction}{optional}(?:{_LABEL})?"
    return re.compile(text, re.ASCII)


def _pattern(form: str, *, label: bool = False) -> re.Pattern[str]:
    return re.compile(_expression(form) + (f"(?:{_LABEL})?" if label else ""), re.ASCII)


def _expression(form: str) -> str:
    parts = re.split(r"(%.)", form)
    if repeated := [part for part in parts[1::2] if parts.count(part) > 1]:
        raise ValueError(f'time_format has "{repeated[0]}" twice')
    for unknown in (part for part in parts[1::2] if part not in _DIRECTIVES):
        raise ValueError(f'time_format has "{unknown}"; it may have {" ".join(_DIRECTIVES)} and %f after %S')
    # Where nothing stands between two numbers, each needs all of its digits.
    digits = r"\d\d" if re.search(r"%[a-zA-Z]%", form) else r"\d\d?"
    return "".join(
        _DIRECTIVES[part].replace(r"\d\d?", digits) if part in _DIRECTIVES else re.escape(part)
        for part in parts
    )


def _date(found: re.Match[str]) -> int:
    groups = found.groupdict()
    year = int(groups.get("year") or 0)
    if len(groups.get("year") or "") == len("yy"):
        # As POSIX has it: 69 is 1969, 68 is 2068.
        year += 1900 if year >= 69 else 2000
    elif year > _BUDDHIST_FROM:
        year -= _BUDDHIST
    return (date(year, _month(groups["month"]), int(groups["day"])).toordinal() - _UNIX_DAY) * DAY


def _month(text: str) -> int:
    if text.isdigit():
        return int(text)
    if text.lower() not in _MONTHS:
        raise ValueError(f"{text} is not a month")
    return _MONTHS.index(text.lower()) + 1


def _ahead(label: re.Match[bytes] | None) -> int:
    """How many ns a label says that it is ahead of UTC."""
    if label is None or label["ahead"] is None:
        return 0
    digits = label["ahead"].replace(b":", b"")
    minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
    return (-minutes if label["sign"] == b"-" else minutes) * 60 * SECOND


def _is_date(form: str, text: str) -> bool:
    found = _pattern(form).fullmatch(text.strip())
    try:
        return found is not None and _date(found) is not None
    except ValueError:
        return False


def _clock(found: re.Match[str]) -> int | None:
    """The time of day in ns, or None if there is no such time."""
    groups = found.groupdict()
    hour, minute, second = (int(groups.get(name) or 0) for name in ("hour", "minute", "second"))
    half = groups.get("half")
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    if not (hour < 24 and minute < 60 and second < 60):
        return None
    return (hour * 3600 + minute * 60 + second) * SECOND
