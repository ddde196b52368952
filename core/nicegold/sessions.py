"""When an instrument trades: the week's open and close, and the daily break.

Written as people write it: ``"Sun 18:00 - Fri 17:00 America/New_York, break 17:00 - 18:00"``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MINUTE = 60 * SECOND
#: 1970-01-01 was a Thursday; this many minutes after a Monday 00:00.
_EPOCH_MINUTE = 3 * _DAY_MINUTES

_MOMENT = r"(?P<{0}_day>[A-Za-z]{{3}}) (?P<{0}_hour>\d\d):(?P<{0}_minute>\d\d)"
_FORM = re.compile(
    _MOMENT.format("open")
    + r" ?- ?"
    + _MOMENT.format("close")
    + r" (?P<zone>[\w/+-]+)"
    + r"(?:, ?break (?P<from_hour>\d\d):(?P<from_minute>\d\d) ?- ?(?P<to_hour>\d\d):(?P<to_minute>\d\d))?$"
)

#: Names for the hours most people mean.
NAMED = {
    "always": "",
    "gold": "Sun 18:00 - Fri 17:00 America/New_York, break 17:00 - 18:00",
    "fx": "Sun 17:00 - Fri 17:00 America/New_York",
}
_METALS = ("XAU", "XAG", "XPT", "XPD")
_CURRENCIES = {
    *("USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "SEK"),
    *("NOK", "DKK", "SGD", "HKD", "ZAR", "MXN", "TRY", "PLN", "CNH"),
}


def usual_hours(symbol: str) -> str:
    """The name in `NAMED` of the hours in which *symbol* usually trades: gold, fx, or always.

    Goes by its first six letters, so that a broker's EURUSD.m is EURUSD.
    """
    base, quoted = symbol[:3].upper(), symbol[3:6].upper()
    if base in _METALS:
        return "gold"
    return "fx" if {base, quoted} <= _CURRENCIES else "always"


@lru_cache(maxsize=512)
def _utc_offset_minutes(zone: str, hour: int) -> int:
    """Minutes that *zone* is ahead of UTC in the *hour* counted from 1970."""
    moment = datetime.fromtimestamp(hour * 3600, UTC).astimezone(ZoneInfo(zone))
    return int((moment.utcoffset() or timedelta()).total_seconds() // 60)


class Sessions(msgspec.Struct, frozen=True):
    """The hours in which an instrument trades, in the time zone of its venue.

    Minutes count from Monday 00:00 local time; ``opens == closes`` means always open.
    """

    zone: str = "UTC"
    opens: int = 0
    closes: int = 0
    break_from: int = 0
    break_to: int = 0

    @classmethod
    def parse(cls, text: str) -> Sessions:
        """Read hours from *text*, a name in `NAMED` or the written form.

        Raises ValueError that says what is wrong and shows the form.
        """
        written = NAMED.get(text.lower(), text)
        if not written:
            return cls()
        found = _FORM.match(written)
        if found is None:
            raise ValueError(
                f'sessions "{text}" are not hours; write {", ".join(NAMED)} or "{NAMED["gold"]}"'
            )
        try:
            ZoneInfo(found["zone"])
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones
            raise ValueError(f'sessions "{text}": there is no time zone "{found["zone"]}"') from None
        return cls(
            zone=found["zone"],
            opens=_minute_of_week(found, "open"),
            closes=_minute_of_week(found, "close"),
            break_from=_minute_of_day(found, "from"),
            break_to=_minute_of_day(found, "to"),
        )

    def is_open(self, time: int) -> bool:
        """Whether the instrument trades at *time* (ns UTC)."""
        return self._is_open_in(self._local_minute(time))

    def open_time(self, begin: int, end: int) -> int:
        """How many ns of the time from *begin* to *end* (ns UTC) the instrument trades.

        An hour that the venue's own clock shows twice or skips counts as the clock shows it.
        """
        return self._open_before(end) - self._open_before(begin)

    def open_in_week(self, begin: int, end: int) -> int:
        """How many ns are open between two minutes of the week, from Monday 00:00 on the venue's clock."""
        table = _open_minutes(self)
        return (table[end] - table[begin]) * _MINUTE

    def to_local(self, time: int) -> int:
        """What the venue's clock shows at *time* (ns UTC), as ns since its own 1970-01-01 00:00."""
        return time + _utc_offset_minutes(self.zone, time // (3600 * SECOND)) * _MINUTE

    @property
    def has_break(self) -> bool:
        """Whether trading stops for a while every day."""
        return self.break_from != self.break_to

    @property
    def opening(self) -> str:
        """When the week opens, for a person and in the venue's zone: Sunday 18:00."""
        return _moment_of_week(self.opens)

    @property
    def closing(self) -> str:
        """When the week closes, as *opening*: Friday 17:00, daily 17:00 to 18:00."""
        daily = f", daily {_moment_of_week(self.break_from)[-5:]} to {_moment_of_week(self.break_to)[-5:]}"
        return _moment_of_week(self.closes) + (daily if self.has_break else "")

    def trading_day(self, time: int) -> int:
        """The day that *time* (ns UTC) belongs to, counted from 1970, changing at the daily close.

        Gold's Sunday evening in New York belongs to Monday.
        """
        offset = _utc_offset_minutes(self.zone, time // (3600 * SECOND))
        minutes = time // (60 * SECOND) + offset
        return (minutes + self._minutes_from_rollover_to_midnight()) // _DAY_MINUTES

    def _minutes_from_rollover_to_midnight(self) -> int:
        if self.opens == self.closes:
            return 0
        return -self.closes % _DAY_MINUTES

    def _open_before(self, time: int) -> int:
        """How many ns were open since the Monday before 1970, on the venue's clock."""
        offset = _utc_offset_minutes(self.zone, time // (3600 * SECOND))
        minutes, rest = divmod(time, _MINUTE)
        weeks, minute = divmod(minutes + offset + _EPOCH_MINUTE, _WEEK_MINUTES)
        table = _open_minutes(self)
        is_open = table[minute + 1] - table[minute]
        return (weeks * table[-1] + table[minute]) * _MINUTE + is_open * rest

    def _is_open_in(self, minute: int) -> bool:
        since_open = (minute - self.opens) % _WEEK_MINUTES
        if self.opens != self.closes and since_open >= (self.closes - self.opens) % _WEEK_MINUTES:
            return False
        since_break = (minute - self.break_from) % _DAY_MINUTES
        return since_break >= (self.break_to - self.break_from) % _DAY_MINUTES

    def _local_minute(self, time: int) -> int:
        offset = _utc_offset_minutes(self.zone, time // (3600 * SECOND))
        return (time // (60 * SECOND) + offset + _EPOCH_MINUTE) % _WEEK_MINUTES


@lru_cache(maxsize=16)
def _open_minutes(sessions: Sessions) -> tuple[int, ...]:
    """How many minutes of the week are open before each of its minutes, and in the whole of it."""
    return (0, *accumulate(map(int, map(sessions._is_open_in, range(_WEEK_MINUTES)))))


def _moment_of_week(minutes: int) -> str:
    day, minute = divmod(minutes, _DAY_MINUTES)
    return f"{_DAY_NAMES[day]} {minute // 60:02}:{minute % 60:02}"


def _minute_of_week(found: re.Match[str], moment: str) -> int:
    day = found[f"{moment}_day"].lower()
    if day not in _DAYS:
        raise ValueError(f'"{found[f"{moment}_day"]}" is not a day of the week; write one of Mon to Sun')
    return _DAYS.index(day) * _DAY_MINUTES + _minute_of_day(found, moment)


def _minute_of_day(found: re.Match[str], moment: str) -> int:
    hour, minute = found[f"{moment}_hour"] or "00", found[f"{moment}_minute"] or "00"
    if int(hour) >= 24 or int(minute) >= 60:
        raise ValueError(f'"{hour}:{minute}" is not a time of day; write 00:00 to 23:59')
    return int(hour) * 60 + int(minute)
