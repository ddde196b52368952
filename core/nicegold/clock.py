"""The clock of a data source: what the times it shows are in UTC.

It is declared, never guessed: the labels that files carry are often false.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from nicegold.sessions import DAY, SECOND

_HOUR = 3600 * SECOND
_EPOCH = datetime(1970, 1, 1)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
#: A zone, and hours that the clock is put forward or back from it.
_FORM = re.compile(r"(?P<zone>.+?)(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>[0-5]\d))?", re.ASCII)
_WAY_OUT = 'write "UTC", "UTC+2", a zone such as "Europe/London", or one put forward: "America/New_York+7"'


class Clock(msgspec.Struct, frozen=True):
    """The clock of *zone* (an IANA name), put forward by *ahead* ns.

    The server of many a broker shows ``America/New_York+7``, so that its day ends with New York's.
    """

    zone: str = "UTC"
    ahead: int = 0

    @classmethod
    def parse(cls, text: str) -> Clock:
        """Read ``UTC``, ``UTC+2``, ``Europe/London`` or ``America/New_York+7``.

        Raises ValueError that names what is not a zone and shows the forms.
        """
        # Before the form with hours, since `Etc/GMT+5` is a zone.
        if _is_zone(text):
            return cls(text)
        found = _FORM.fullmatch(text)
        if found is None or not _is_zone(found["zone"]):
            raise ValueError(f'there is no time zone "{text}"; {_WAY_OUT}')
        ahead = int(found["hours"]) * _HOUR + int(found["minutes"] or 0) * 60 * SECOND
        if not ahead <= 15 * _HOUR:
            raise ValueError(f'timezone "{text}" is more than 15 hours away from {found["zone"]}')
        return cls(found["zone"], ahead if found["sign"] == "+" else -ahead)

    @property
    def is_fixed(self) -> bool:
        """Whether it is always as far from UTC."""
        return self.zone == "UTC"

    def to_local(self, time: int) -> int:
        """What the clock shows at *time* (ns UTC), as ns since its own 1970-01-01 00:00."""
        if self.is_fixed:
            return time + self.ahead
        moment = _EPOCH_UTC + timedelta(seconds=time // SECOND)
        return time + self.ahead + _nanoseconds(moment.astimezone(ZoneInfo(self.zone)).utcoffset())

    def to_utc(self, local: int, *, second: bool = False) -> int:
        """The ns UTC at which the clock shows *local*.

        It shows an hour twice when it is put back: the first time is meant, or the *second*. An
        hour that it skips is taken as if it had not been put forward yet.
        """
        if self.is_fixed:
            return local - self.ahead
        shown = _EPOCH + timedelta(seconds=(local - self.ahead) // SECOND)
        aware = shown.replace(tzinfo=ZoneInfo(self.zone), fold=int(second))
        return local - self.ahead - _nanoseconds(aware.utcoffset())

    def skips(self, local: int) -> bool:
        """Whether the clock never shows *local*, because it is put forward there."""
        return self.to_local(self.to_utc(local)) != local

    def reader(self) -> Reading:
        """`to_utc` for the times of one file, in their order."""
        return Reading(self)

    def adder(self, length: int) -> Callable[[int], int]:
        """The function from a bar's start to its end, *length* later on this clock.

        A day on it may have 23 hours or 25.
        """
        if length < DAY or self.is_fixed:
            return lambda start: start + length
        return lambda start: self.to_utc(self.to_local(start) + length)


class Reading:
    """The times of one file, in their order: by that an hour which is shown twice is told apart."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._midnights: dict[int, int] = {}

    def midnight(self, local: int) -> int | None:
        """When the day *local* begins (ns UTC), or None if the clock is put forward or back on it."""
        clock = self._clock
        try:
            begins = clock.to_utc(local)
            return begins if clock.to_utc(local + DAY) - begins == DAY else None
        except OverflowError:
            raise ValueError("its time is out of range") from None

    def time(self, local: int) -> int:
        """When the clock shows *local* (ns UTC). Raises ValueError if it never does."""
        day = local - local % DAY
        begins = self._midnights.get(day)
        if begins is None:
            begins = self.midnight(day)
            if begins is None:
                return self._on_day_of_change(local)
            self._midnights[day] = begins
        return begins + local - day

    def labelled(self, local: int, ahead: int) -> int:
        """When the clock shows *local* (ns UTC), of which a label says that it is *ahead* ns of UTC.

        Raises ValueError if the clock says another thing.
        """
        time = local - ahead
        try:
            shown = self._clock.to_local(time)
        except OverflowError:
            raise ValueError("its time is out of range") from None
        if shown != local:
            raise ValueError(
                f"its label says UTC{_show_hours(ahead)}, and timezone says UTC{_show_hours(shown - time)} "
                "then; declare the clock that the label shows"
            )
        self._last = time
        return time

    def _on_day_of_change(self, local: int) -> int:
        clock = self._clock
        if clock.skips(local):
            raise ValueError(f"there is no {show_time(local)} in {clock.zone}: clocks are put forward then")
        first = clock.to_utc(local)
        self._last = first if first >= self._last else clock.to_utc(local, second=True)
        return self._last


def show_time(time: int) -> str:
    """*time* (ns since 1970) for a person: 2020-05-01 00:15."""
    try:
        moment = _EPOCH + timedelta(microseconds=time // 1000)
    except OverflowError:
        return f"{time} ns after 1970"
    return moment.isoformat(" ", "auto" if moment.second or moment.microsecond else "minutes")


def _show_hours(ahead: int) -> str:
    minutes = abs(ahead) // (60 * SECOND)
    return f"{'-' if ahead < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    # A folder of the zone database, such as America, is an OSError.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _nanoseconds(offset: timedelta | None) -> int:
    return int((offset or timedelta()).total_seconds()) * SECOND
