"""Coarser bars from finer bars, or from quotes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nicegold import (
    DAY,
    SECOND,
    Bar,
    Clock,
    Instrument,
    Market,
    Quote,
    UnusableData,
    hookimpl,
    name_timeframe,
    parse_timeframe,
    plugin,
)

_HOUR = 3600 * SECOND
#: In floats 86.728 - 86.655 has a rest, at the 15th digit.
_DIGITS = 9
_NOON = 12 * _HOUR
_WEEK_DAYS = 7
#: Days after a Monday that 1970-01-01 was.
_THURSDAY = 3


@plugin
class Resample:
    """Complete bars of *timeframe* from the finer bars, or the quotes, of *instrument*.

    Days begin at *day_start* on the clock of *timezone*, shorter bars are counted from there, and
    weeks begin on Mondays; a day that begins at noon or later counts for the next date. With
    ``America/New_York`` and ``17:00`` these are the days of most brokers.

    What comes first decides what the bars are made of: bars of that length, or quotes. Bars of
    quotes are of the bid, their spread is that at the close, their volume counts quotes. A bar is
    complete when its time is over, and comes with the event that shows this.
    """

    instrument: str
    timeframe: str
    timezone: str = "UTC"
    day_start: str = "00:00"

    def __post_init__(self) -> None:
        self._length = parse_timeframe(self.timeframe)
        if self._length > DAY and self._length % DAY:
            raise ValueError(f'timeframe is "{self.timeframe}"; above a day it must be of whole days')
        self._periods = _Periods(Clock.parse(self.timezone), _time_of_day(self.day_start), self._length)
        self._begin_again()

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument]) -> None:
        self._begin_again()

    @hookimpl
    def derive_market(self, market: Market) -> list[Bar] | None:
        """Raise UnusableData for a bar that goes on after the one it belongs to: it shows the future."""
        if market.symbol != self.instrument:
            return None
        if isinstance(market, Quote):
            if self._source != 0 and not self._uses(0):
                return None
            time, bid = market.time, market.bid
            spread = round(market.ask - bid, _DIGITS)
            return self._add(Bar(market.symbol, time, time, bid, bid, bid, bid, 1.0, spread))
        length = market.time - market.start
        if length != self._source and not self._uses(_whole_days(length)):
            return None
        return self._add(market)

    def _begin_again(self) -> None:
        #: The length of the bars that are used, 0 for quotes; None before the first.
        self._source: int | None = None
        self._start = self._end = -1
        self._open = self._high = self._low = self._close = self._volume = self._spread = 0.0
        self._is_empty = True

    def _uses(self, length: int) -> bool:
        """Whether bars are made of what is *length* ns long."""
        if self._source is None and length < self._length:
            self._source = length
        return length == self._source

    def _add(self, bar: Bar) -> list[Bar] | None:
        done: list[Bar] | None = None
        start, end = self._start, self._end
        if bar.start >= end:
            start, end = self._periods.around(bar.start)
        elif self._is_empty:  # complete already: a bar that comes twice
            return None
        if bar.time > end:
            raise self._beyond(bar)
        if start != self._start:
            done = self._finish()
            self._start, self._end = start, end
        self._fold(bar)
        # A quote lasts no time: another may come at the same moment.
        if bar.time == end and bar.start != end:
            done = [*(done or ()), *(self._finish() or ())]
        return done

    def _beyond(self, bar: Bar) -> UnusableData:
        return UnusableData(
            f"bars of {name_timeframe(bar.time - bar.start)} go on after their {self.timeframe} ends, "
            f"with days from {self.day_start} {self.timezone}; choose another day_start or timezone"
        )

    def _fold(self, bar: Bar) -> None:
        if self._is_empty:
            self._open, self._high, self._low, self._volume = bar.open, bar.high, bar.low, 0.0
            self._is_empty = False
        if bar.high > self._high:
            self._high = bar.high
        if bar.low < self._low:
            self._low = bar.low
        self._close, self._spread = bar.close, bar.spread
        self._volume += bar.volume

    def _finish(self) -> list[Bar] | None:
        if self._is_empty:
            return None
        self._is_empty = True
        prices = self._open, self._high, self._low, self._close
        return [Bar(self.instrument, self._start, self._end, *prices, self._volume, self._spread)]


class _Periods:
    """What bars of *length* ns span, where days begin at *day_start* (ns) on *clock*."""

    def __init__(self, clock: Clock, day_start: int, length: int) -> None:
        self._clock = clock
        self._day_start = day_start
        self._length = length
        self._days = length // DAY
        self._day = 0, 0

    def around(self, time: int) -> tuple[int, int]:
        """The span that has *time* in it (all ns UTC)."""
        if not self._day[0] <= time < self._day[1]:
            self._day = self._days_around(time)
        begin, end = self._day
        if self._days:
            return begin, end
        start = time - (time - begin) % self._length
        # The last of a day is cut short where the length does not divide the day.
        return start, min(start + self._length, end)

    def _days_around(self, time: int) -> tuple[int, int]:
        first = last = self._number_of(time)
        if self._days:
            first -= self._days_into(first)
            last = first + self._days - 1
        return self._begin(first), self._begin(last + 1)

    def _number_of(self, time: int) -> int:
        """The day that *time* is in, counted from that of 1970-01-01."""
        number = (self._clock.to_local(time) - self._day_start) // DAY
        # The clock may be put forward or back over the beginning of the day.
        if self._begin(number) > time:
            return number - 1
        return number + 1 if self._begin(number + 1) <= time else number

    def _begin(self, number: int) -> int:
        return self._clock.to_utc(number * DAY + self._day_start)

    def _days_into(self, number: int) -> int:
        if self._days % _WEEK_DAYS:
            return number % self._days
        date = number + 1 if self._day_start >= _NOON else number
        return (date + _THURSDAY) % self._days


def _whole_days(length: int) -> int:
    """*length*, with days of 23 or 25 hours as 24."""
    days = (length + _HOUR) // DAY
    return days * DAY if days and abs(length - days * DAY) <= _HOUR else length


def _time_of_day(text: str) -> int:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text)
    if found is None:
        raise ValueError(f'day_start is "{text}"; write a time of day such as 17:00')
    return int(found[1]) * _HOUR + int(found[2]) * 60 * SECOND
