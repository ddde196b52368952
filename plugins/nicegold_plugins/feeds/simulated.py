"""A market that nobody has to pay for: bars that look like gold's, the same for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from math import exp, log, sqrt
from random import Random
from typing import TypeAlias

from nicegold import (
    DAY,
    SECOND,
    Account,
    Bar,
    Clock,
    Instrument,
    Market,
    Reject,
    Sessions,
    Source,
    UnusableData,
    hookimpl,
    parse_timeframe,
    plugin,
)

_MINUTE, _HOUR, _WEEK = 60 * SECOND, 3600 * SECOND, 7 * DAY
_WEEKS_A_YEAR = 365.25 / 7
#: Changes whenever the same settings give other bars, so that no replay takes these for those.
_MODEL = 1
_NEW_YORK = Clock("America/New_York")
#: How far prices move in each hour of New York's day, beside the average: Asia, London from 3, both
#: from 8, quiet after the London close at 12.
_ACTIVITY = (
    *(0.7, 0.8, 1.0, 1.5, 1.4, 1.2, 1.0, 1.1, 1.9, 1.9, 1.8, 1.4),
    *(1.1, 1.0, 0.9, 0.8, 0.6, 0.4, 0.7, 0.8, 0.9, 1.0, 0.8, 0.7),
)
#: The spread in each of these hours, in tight ones: wide around the daily break at 17.
_SPREAD = (*2 * (1.5,), *10 * (1.0,), *4 * (1.2,), 2.0, 4.0, 3.0, *5 * (1.5,))
#: The tight spread as a part of the price, for an instrument that has none.
_TIGHT = 0.00008
#: Hours are lively or quiet for a while: a logarithm that remembers.
_MEMORY, _MOOD = 0.97, 0.35
#: Jumps come once in so many open minutes, so many times an average minute's move.
_JUMP_MINUTES, _JUMP = 1380, 8.0
#: While the market is closed the price goes on, at this part of the variance.
_CLOSED = 0.02
#: A move of so many deviations widens the spread.
_FAST, _WIDENED = 2.5, 2.0
#: A year's deviation beyond which prices soon would not be any.
_WILDEST = 5
_TICKS_A_MINUTE = 40.0


#: One hour: which of its minutes are open, the spread in tight ones, and the variance of a minute
#: beside that of an average one.
Hour: TypeAlias = tuple[tuple[bool, ...], float, float]
#: The time of one bar: its start, the minutes in it that are open, their variance and spread, and
#: the minutes before that were not open.
Stretch: TypeAlias = tuple[int, float, float, float, float]


@plugin
class Simulated:
    """*timeframe* bars of *instrument* like gold's, from *start* on, for ever or as many as *bars*.

    Its sessions are respected: London and New York are lively with a tight spread, the hours around
    the daily break quiet with a wide one; the price jumps now and then, and over the weekend.
    *price* is the first open, *volatility* the standard deviation of a year's return. Two seeds
    count, *seed* and the run's. Volume counts ticks.
    """

    instrument: str
    timeframe: str = "M1"
    bars: int = 0
    start: str = "2026-01-05T00:00:00Z"
    price: Decimal = Decimal(2650)
    volatility: Decimal = Decimal("0.16")
    seed: int = 0

    def __post_init__(self) -> None:
        self._length = parse_timeframe(self.timeframe)
        self._start = _parse_start(self.start)
        self._run_seed = 0
        if not self.price > 0:
            raise ValueError(f"price must be above 0: it is {self.price}")
        if not 0 < self.volatility <= _WILDEST:
            raise ValueError(f"volatility must be above 0 and at most {_WILDEST}: it is {self.volatility}")
        if self.bars < 0:
            raise ValueError(f"bars must not be negative: it is {self.bars}; 0 is without end")

    @hookimpl
    def source(self) -> Source:
        """The settings: they are all that is needed to have the same bars again, with the run's seed."""
        settings = ("timeframe", "bars", "start", "price", "volatility", "seed")
        said = "&".join(f"{name}={getattr(self, name)}" for name in settings)
        location = f"simulated:{self.instrument}?{said}&model={_MODEL}"
        return Source(location, hashlib.sha256(location.encode()).hexdigest())

    @hookimpl
    def startup(self, instruments: Mapping[str, Instrument], account: Account, seed: int) -> None:
        """Raise UnusableData if the instrument never trades."""
        self._run_seed = seed
        if not _open_minutes(instruments[self.instrument].sessions, self._start):
            raise UnusableData(f"{self.instrument} never trades; look at its sessions")

    @hookimpl
    def stream_market(self, instruments: Mapping[str, Instrument], reject: Reject) -> Iterator[Market]:
        random = Random(f"{self._run_seed} {self.seed} {self.instrument}")  # text: stable everywhere
        return islice(self._walk(instruments[self.instrument], random), self.bars or None)

    def _walk(self, instrument: Instrument, random: Random) -> Iterator[Bar]:
        """A random walk in ticks, with the high and low that a walk between open and close has."""
        up, down = instrument.tick_size.as_integer_ratio()
        level = float(self.price / instrument.tick_size)
        tight = _tight_spread(instrument, self.price)
        minute = self._minute_deviation(instrument.sessions)
        gauss, uniform, symbol, length = random.gauss, random.random, self.instrument, self._length
        for start, minutes, variance, spread, idle in self._stretches(instrument.sessions, random):
            if idle:
                level = max(level * exp(minute * sqrt(idle * _CLOSED) * gauss(0.0, 1.0)), 1.0)
            deviation = level * minute * sqrt(variance)
            move = deviation * gauss(0.0, 1.0)
            if uniform() * _JUMP_MINUTES < minutes:
                move += level * minute * _JUMP * gauss(0.0, 1.0)
            before, level = level, max(level + move, 1.0)
            high, low = _extremes(before, level, deviation, random)
            wide = tight * spread * (1.0 + 0.3 * uniform())
            if not -_FAST * deviation < move < _FAST * deviation:
                wide *= _WIDENED
            yield Bar(
                symbol,
                start,
                start + length,
                round(before) * up / down,
                round(high) * up / down,
                max(round(low), 1) * up / down,
                round(level) * up / down,
                1.0 + int(_TICKS_A_MINUTE * sqrt(variance * minutes) * (0.5 + uniform())),
                max(round(wide), 1) * up / down,
            )

    def _minute_deviation(self, sessions: Sessions) -> float:
        """The standard deviation of an average open minute's return, without jumps."""
        minutes = _open_minutes(sessions, self._start) * _WEEKS_A_YEAR
        return float(self.volatility) / sqrt(minutes * (1.0 + _JUMP * _JUMP / _JUMP_MINUTES))

    def _stretches(self, sessions: Sessions, random: Random) -> Iterator[Stretch]:
        """The times in which the market is open at all, one after another, for ever."""
        hours, length, step = _Hours(sessions, self._start, random), self._length, min(self._length, _MINUTE)
        part = step / _MINUTE
        start, idle = -(-self._start // length) * length, 0.0
        number = start // _HOUR
        is_open, spread, lively = hours.next(number)
        while True:
            minutes = variance = 0.0
            for moment in range(start, start + length, step):
                if moment // _HOUR != number:
                    number = moment // _HOUR
                    is_open, spread, lively = hours.next(number)
                if is_open[moment % _HOUR // _MINUTE]:
                    minutes += part
                    variance += part * lively
            if minutes:
                yield start, minutes, variance, spread, idle
                idle = 0.0
            else:
                idle += length / _MINUTE
            start += length


def _extremes(before: float, after: float, deviation: float, random: Random) -> tuple[float, float]:
    """The highest and the lowest of Brownian motion from *before* to *after*.

    Each by its exact distribution; Glasserman, Monte Carlo Methods in Financial Engineering, 6.4.
    """
    middle, square = before + after, (after - before) ** 2
    spread = -2.0 * deviation * deviation
    high = middle + sqrt(square + spread * log(1.0 - random.random()))
    low = middle - sqrt(square + spread * log(1.0 - random.random()))
    return high / 2.0, low / 2.0


class _Hours:
    """One hour after another, lively or quiet for a while; each hour of the week is looked at once."""

    def __init__(self, sessions: Sessions, start: int, random: Random) -> None:
        self._sessions = sessions
        self._clock = Clock(sessions.zone)
        self._mean = _mean_activity(sessions, start)
        self._known: dict[tuple[int, int], Hour] = {}
        self._random = random
        self._mood = 0.0

    def next(self, number: int) -> Hour:
        """The hour of that *number*, counted from 1970 in UTC, in the mood that comes after the last."""
        start = number * _HOUR
        key = self._clock.to_local(start) % _WEEK, _NEW_YORK.to_local(start) % DAY
        if key not in self._known:
            self._known[key] = self._look(start, key[1] // _HOUR)
        is_open, spread, variance = self._known[key]
        self._mood = _MEMORY * self._mood + sqrt(1.0 - _MEMORY**2) * self._random.gauss(0.0, _MOOD)
        # So that the mean of its square is 1.
        return is_open, spread, variance * exp(2.0 * (self._mood - _MOOD * _MOOD))

    def _look(self, start: int, of_day: int) -> Hour:
        is_open = tuple(self._sessions.is_open(minute) for minute in range(start, start + _HOUR, _MINUTE))
        return is_open, _SPREAD[of_day], _ACTIVITY[of_day] ** 2 / self._mean


def _open_minutes(sessions: Sessions, start: int) -> int:
    """How many minutes of the week from *start* on are open."""
    return sum(map(sessions.is_open, range(start, start + _WEEK, _MINUTE)))


def _mean_activity(sessions: Sessions, start: int) -> float:
    """The mean of the squares of the activity in the open minutes of a week."""
    open_minutes = [time for time in range(start, start + _WEEK, _MINUTE) if sessions.is_open(time)]
    squares = (_ACTIVITY[_NEW_YORK.to_local(time) % DAY // _HOUR] ** 2 for time in open_minutes)
    return sum(squares) / len(open_minutes)


def _tight_spread(instrument: Instrument, price: Decimal) -> float:
    """In ticks."""
    return float((instrument.spread or price * Decimal(str(_TIGHT))) / instrument.tick_size)


def _parse_start(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'start is "{text}"; write a time such as 2026-01-05T00:00:00Z') from None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    start = round(aware.timestamp()) * SECOND
    if start < 0:
        raise ValueError(f'start is "{text}"; it must be after 1970')
    return start
