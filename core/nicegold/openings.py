"""When a market opens, as its bars show it: that gives away the clock they were stamped with.

Gold opens on Sunday at 18:00 in New York and again after each daily break, whatever a file says its
clock is. An opening can be right by some clocks and not by others; the clock by which most of them
are is the one that the file has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from typing import TypeAlias

import msgspec

from nicegold.clock import Clock, show_time
from nicegold.model import Bar, Instrument, Quote
from nicegold.quality import UnusableData
from nicegold.sessions import DAY, SECOND, Sessions

_MINUTE, _HOUR = 60 * SECOND, 3600 * SECOND
#: Bars that are enough to refuse a clock: a month of minutes, years of hours.
CLOCK_SAMPLE = 30_000
#: A time without bars that may be a daily break, and one that may be a weekend.
_BREAK, _LONGEST_BREAK, _WEEKEND = 30 * _MINUTE, 3 * _HOUR, 24 * _HOUR
#: The first trade may come so late, and the last so early; with more it could be another hour's.
_LATE = 29 * _MINUTE
#: Hours by which a clock may be wrong.
_SHIFTS = range(-15, 16)
#: Openings without which nothing is said, also against a clock.
_ENOUGH = 3
#: An opening counts for more than a closing: more feeds stop early than start late.
_FIRST, _LAST = 3, 2
#: So much more must speak against a clock than for it.
_CLEARLY = 3
#: So much more must be explained by a clock that changes inside the file: eight openings.
_CHANGE = 8 * _FIRST
#: The clocks that a file may have, put forward or back by whole hours.
_ZONES = ("America/New_York", "Europe/London", "UTC")
_NAMES = {"Europe/London+1": "CET", "Europe/London+2": "EET"}
#: Those that are met most, for what bars do not tell apart.
_USUAL = ("UTC", "America/New_York+7", "EET", "America/New_York", "Europe/London")
_SHOWN = 3
#: Clocks whose weights differ by less than one part in so many are alike.
_PARTS = 20
_DAYS = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")

#: A clock: its zone, by its place in `_ZONES`, and the minutes it is put forward.
Guess: TypeAlias = tuple[int, int]
_DECLARED: Guess = (-1, 0)


class Opening(msgspec.Struct, frozen=True, gc=False):
    """The first bar after a time without bars, or the last before it: its *time* as declared (ns UTC).

    By the clocks in *guesses* it is when the market opens or closes. By those in *excused* a feed
    began an hour late or stopped an hour early, as some brokers do while Europe and America
    change their clocks. By any other clock it traded while the market was closed.
    """

    time: int
    is_week: bool
    is_first: bool
    guesses: frozenset[Guess]
    excused: frozenset[Guess]

    @property
    def weight(self) -> int:
        return _FIRST if self.is_first else _LAST

    def is_wrong(self, guess: Guess) -> bool:
        return guess not in self.guesses and guess not in self.excused


class Stretch(msgspec.Struct, frozen=True):
    """A part of a file that has one clock: from an opening *since* to another *until* (ns UTC, as declared).

    *explained* of its *openings* and closings are right by the first of *clocks*, which are those
    that it does not contradict.
    """

    since: int
    until: int
    clocks: list[str]
    explained: int
    openings: int


class Verdict(msgspec.Struct, frozen=True):
    """What the openings say about the clock that was *declared*: why, is *reason*.

    *says* is "agrees", "contradicts" or "cannot tell". *explained* of *openings* are right by the
    declared clock. Where the clock changes inside the file there are several *stretches*.
    """

    declared: str
    says: str
    reason: str
    explained: int = 0
    openings: int = 0
    stretches: list[Stretch] = []

    @property
    def way_out(self) -> str:
        """What to write instead, for a person."""
        if len(self.stretches) == 1:
            return f"write timezone = {_either(self.stretches[0].clocks)}"
        parts = (f"{_either(each.clocks)} until {_day(each.until)}" for each in self.stretches)
        return f"its clock changes inside the file, so split it: {', '.join(parts)}"


class Openings:
    """Collects the openings in bars of *length* ns, or in quotes if it is 0, read by the clock *declared*."""

    def __init__(self, declared: str, length: int, instrument: Instrument) -> None:
        self._declared, self._clock = declared, Clock.parse(declared)
        self._length, self._symbol, self._sessions = length, instrument.symbol, instrument.sessions
        self._has_break = self._sessions.has_break and length <= _HOUR
        self._end = 0
        self._seen: list[Opening] = []

    def take(self, market: Bar | Quote) -> None:
        """Take the next bar or quote."""
        if self._length >= DAY:
            return
        begin = market.time
        if isinstance(market, Bar):
            # What some exporters fill closed hours with would hide them.
            if market.low == market.high and not market.volume:
                return
            begin = market.start
        if self._end and begin - self._end >= _BREAK:
            self._reopened(self._end, begin)
        self._end = market.time

    def verdict(self) -> Verdict:
        """What they say, so far."""
        silent = self._why_silent()
        if silent:
            return Verdict(self._declared, "cannot tell", silent, openings=len(self._seen))
        likely = _likely(self._seen)
        right = sum(_DECLARED in each.guesses for each in self._seen)
        says, reason = self._judged(right, likely)
        return Verdict(self._declared, says, reason, right, len(self._seen), _stretches(self._seen, likely))

    def _judged(self, right: int, likely: Sequence[Guess]) -> tuple[str, str]:
        count = len(self._seen)
        explained = sum(guess in each.guesses for each, guess in zip(self._seen, likely, strict=True))
        if 2 * max(right, explained) < count:
            return "cannot tell", f"its openings are at no steady hour: are these {self._symbol}'s sessions?"
        if _is_contradicted(self._seen, _DECLARED, likely):
            return "contradicts", self._evidence([each for each in self._seen if each.is_wrong(_DECLARED)])
        if right < _ENOUGH:
            return "cannot tell", f"only {right} of its {count} openings are at an hour that is known"
        return "agrees", f"{right} of {count} openings and closings are when they should be"

    def _why_silent(self) -> str:
        if self._sessions == Sessions():
            return f"{self._symbol} never closes, by its sessions"
        if self._length >= DAY:
            return "bars of a day or more do not show the hour"
        if len(self._seen) < _ENOUGH:
            return f"it has {len(self._seen)} openings and closings of the market; {_ENOUGH} could tell"
        if not any(each.guesses for each in self._seen):
            return f"its openings are at no hour of {self._symbol}'s, by any clock"
        return ""

    def _reopened(self, end: int, begin: int) -> None:
        gap = begin - end
        is_week = gap >= _WEEKEND
        if is_week or (self._has_break and gap <= _LONGEST_BREAK):
            self._seen.append(self._opening(end, is_week=is_week, is_first=False))
            self._seen.append(self._opening(begin, is_week=is_week, is_first=True))

    def _opening(self, time: int, *, is_week: bool, is_first: bool) -> Opening:
        may_be = self._may_open if is_first else self._may_close
        minutes = [60 * shift for shift in _SHIFTS if may_be(time + shift * _HOUR)]
        late = 60 if is_first else -60
        local = self._clock.to_local(time)
        guesses = {_DECLARED} if 0 in minutes else set()
        excused = {_DECLARED} if -late in minutes else set()
        for number, zone in enumerate(_ZONES):
            base = (Clock(zone).to_utc(local) - time) // _MINUTE
            guesses |= {(number, base - each) for each in minutes}
            excused |= {(number, base - each - late) for each in minutes}
        return Opening(time, is_week, is_first, frozenset(guesses), frozenset(excused))

    def _may_open(self, begin: int) -> bool:
        """Whether the market may open in a bar that begins there."""
        is_open = self._sessions.is_open
        return not is_open(begin - _LATE) and is_open(begin + max(self._length - _MINUTE, 0))

    def _may_close(self, end: int) -> bool:
        """Whether the market may close in a bar that ends there."""
        is_open = self._sessions.is_open
        return is_open(end - max(self._length, _MINUTE)) and not is_open(end + _LATE)

    def _evidence(self, wrong: Sequence[Opening]) -> str:
        """What is seen among openings that are *wrong*, if it can be at the week's begin."""
        kinds = Counter((each.is_week, each.is_first) for each in wrong)
        kind = max(kinds, key=lambda kind: (kind[0], kind[1] * kinds[kind], kinds[kind]))
        shown = [each for each in wrong if (each.is_week, each.is_first) == kind]
        alike = sum((each.is_week, each.is_first) == kind for each in self._seen)
        zone = Clock(self._sessions.zone)
        times = Counter(_label(zone.to_local(each.time), with_day=each.is_week) for each in shown)
        said = " or ".join(label for label, _ in times.most_common(2))
        which = "the first bar begins" if kind[1] else "the last bar ends"
        where = f"in {len(shown):,} of {alike:,} {'weeks' if kind[0] else 'days'} {which} {said} {zone.zone}"
        hours = f"{self._sessions.opening} and closes {self._sessions.closing}"
        return f"by that clock, {where}, and {self._symbol} opens {hours}"


def refuse_other_clock(
    market: Iterable[Bar | Quote],
    declared: str,
    length: int,
    instrument: Instrument,
    *,
    most: int = CLOCK_SAMPLE,
) -> None:
    """Raise UnusableData if the first *most* bars contradict the clock that was *declared* for them.

    They are *length* ns long. An instrument that never closes is not looked at.
    """
    openings = Openings(declared, length, instrument)
    if instrument.sessions == Sessions() or length >= DAY:
        return
    for each in islice(market, most):
        openings.take(each)
    verdict = openings.verdict()
    if verdict.says == "contradicts":
        raise UnusableData(
            f'has not the clock that timezone = "{declared}" says: {verdict.reason}; {verdict.way_out}, '
            "or clock_check = false to read it as it is declared"
        )


def _likely(openings: Sequence[Opening]) -> list[Guess]:
    """The likeliest clock at each of *openings*: one for all, unless changing it explains many more.

    The cheapest path, where an opening that is not explained costs its weight and a change `_CHANGE`
    (Viterbi 1967).
    """
    counts = _weighed(openings)
    guesses = sorted(counts, key=lambda guess: (-counts[guess], _rank(guess)))
    costs = dict.fromkeys(guesses, 0)
    steps: list[tuple[Guess, set[Guess]]] = []
    for each in openings:
        best = min(costs, key=costs.__getitem__)
        changed = {guess for guess in guesses if costs[guess] > costs[best] + _CHANGE}
        steps.append((best, changed))
        most = costs[best] + _CHANGE
        costs = {
            guess: min(cost, most) + (0 if guess in each.guesses else each.weight)
            for guess, cost in costs.items()
        }
    return _walked_back(min(costs, key=costs.__getitem__), steps)


def _walked_back(last: Guess, steps: Sequence[tuple[Guess, set[Guess]]]) -> list[Guess]:
    path = []
    for best, changed in reversed(steps):
        path.append(last)
        last = best if last in changed else last
    return path[::-1]


def _stretches(openings: Sequence[Opening], likely: Sequence[Guess]) -> list[Stretch]:
    cuts = [number for number, (before, after) in enumerate(pairwise(likely), 1) if before != after]
    bounds = pairwise([0, *cuts, len(openings)])
    return [_stretch(openings[first:end], likely[first]) for first, end in bounds]


def _stretch(openings: Sequence[Opening], likely: Guess) -> Stretch:
    counts = _weighed(openings)
    expected = [likely] * len(openings)
    possible = [guess for guess in counts if not _is_contradicted(openings, guess, expected)]
    # Of those that explain about as much the most usual comes first.
    possible.sort(key=lambda guess: (-round(_PARTS * counts[guess] / counts[likely]), _rank(guess)))
    clocks = [_name(guess) for guess in possible]
    explained = sum(likely in each.guesses for each in openings)
    return Stretch(openings[0].time, openings[-1].time, clocks, explained, len(openings))


def _weighed(openings: Sequence[Opening]) -> Counter[Guess]:
    """How much speaks for each clock."""
    counts: Counter[Guess] = Counter()
    for each in openings:
        counts.update(dict.fromkeys(each.guesses, each.weight))
    del counts[_DECLARED]
    return counts


def _is_contradicted(openings: Sequence[Opening], guess: Guess, likely: Sequence[Guess]) -> bool:
    """Whether by the clock *guess* the market traded while it was closed, and by the *likely* one did not."""
    pairs = list(zip(openings, likely, strict=True))
    against = [each.weight for each, better in pairs if better in each.guesses and each.is_wrong(guess)]
    in_favour = [
        each.weight for each, better in pairs if guess in each.guesses and better not in each.guesses
    ]
    return len(against) >= _ENOUGH and sum(against) > _CLEARLY * sum(in_favour)


def _rank(guess: Guess) -> tuple[int, int, Guess]:
    name = _name(guess)
    return (_USUAL.index(name) if name in _USUAL else len(_USUAL)), abs(guess[1]), guess


def _name(guess: Guess) -> str:
    zone, minutes = _ZONES[guess[0]], guess[1]
    hours, rest = divmod(abs(minutes), 60)
    ahead = f"{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}" if minutes else ""
    return _NAMES.get(zone + ahead, zone + ahead)


def _either(clocks: Sequence[str]) -> str:
    said = " or ".join(f'"{clock}"' for clock in clocks[:_SHOWN])
    more = f" or {len(clocks) - _SHOWN} more" if len(clocks) > _SHOWN else ""
    return f"{said}{more}{' (its bars do not tell them apart)' if len(clocks) > 1 else ''}"


def _label(local: int, *, with_day: bool) -> str:
    minutes = local // _MINUTE
    time = f"{minutes // 60 % 24:02}:{minutes % 60:02}"
    return f"{_DAYS[local // DAY % 7]} {time}" if with_day else time


def _day(time: int) -> str:
    return show_time(time)[:10]
