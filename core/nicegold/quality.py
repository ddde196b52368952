"""Market data that cannot be right: told apart from what can, counted, and never silently repaired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, pairwise
from typing import Generic, TypeAlias, TypeVar

import msgspec

from nicegold.clock import show_time
from nicegold.model import Bar, Quote
from nicegold.sessions import DAY, Sessions
from nicegold.timeframe import name_timeframe

Row = TypeVar("Row")
Seen = TypeVar("Seen", Bar, Quote)

_INFINITY = float("inf")
_TOO_LARGE = "not_finite", "its numbers are too large to be prices"
#: Nanoseconds since 1970 that 64 bits hold.
_END_OF_TIME = 1 << 63
#: So many steps between bars tell how long these are.
_ENOUGH_STEPS = 20
#: A day is an hour shorter where clocks are put forward.
_SHORT_DAY = 0.9
#: Longer than any weekend with holidays: what comes so much later waits until the next row agrees.
_LEAP = 4 * DAY
_OUT_OF_ORDER = frozenset({"backward", "ahead"})


class UnusableData(ValueError):
    """Data that cannot be used at all; says where they are, what is wrong and what to do."""


class OtherTimeframe(UnusableData):
    """Bars that are not as long as it was said: most are *length* ns apart."""

    def __init__(self, message: str, length: int) -> None:
        super().__init__(message)
        self.length = length


class Defect(msgspec.Struct, frozen=True):
    """A line that was not used: its *kind* for counting, *reason* for a person, *text* as it stood.

    *line* counts from 1. Kinds: unreadable, not_finite, not_positive, broken_ohlc, crossed,
    duplicate, backward, ahead, closed_market.
    """

    kind: str
    line: int
    reason: str
    text: str


#: Takes what a feed will not deliver, so that lines in = events out + defects + skipped lines.
Reject: TypeAlias = Callable[[Defect], None]


def sound_bars(
    rows: Iterable[Row],
    read: Callable[[Row], Bar],
    reject: Reject,
    show: Callable[[Row], str],
    *,
    first: int = 1,
    step: int = 1,
    sessions: Sessions | None = None,
) -> Iterator[Bar]:
    """The bars that *read* makes of *rows*, each later than the one before; *reject* gets the rest.

    *read* raises ValueError or IndexError for what it cannot read. *show* gives the text of a row;
    a row that shows nothing is blank, and skipped. *first* is the number of the first row, and
    *step* is -1 where the rows are read from their end. With *sessions*, flat bars without volume
    that begin while these are closed are rejected too, where other bars have a volume: some exporters
    fill nights and weekends with them.

    A row that leaps more than four days ahead, as the first one does, waits for the next: if that
    comes back as far, the leap was the mistake.
    """
    is_open = None if sessions is None or sessions == Sessions() else sessions.is_open
    return _sound(rows, read, reject, show, count(first, step), _fault_of_bar, 0, is_open)


def sound_quotes(
    rows: Iterable[Row],
    read: Callable[[Row], Quote],
    reject: Reject,
    show: Callable[[Row], str],
    *,
    first: int = 1,
    step: int = 1,
) -> Iterator[Quote]:
    """As `sound_bars`, for quotes; several may be of one moment."""
    return _sound(rows, read, reject, show, count(first, step), _fault_of_quote, 1)


def _sound(
    rows: Iterable[Row],
    read: Callable[[Row], Seen],
    reject: Reject,
    show: Callable[[Row], str],
    numbers: Iterable[int],
    fault_of: Callable[[Seen], tuple[str, str]],
    at_once: int,
    is_open: Callable[[int], bool] | None = None,
) -> Iterator[Seen]:
    last, last_line, soon = -1, 0, -1
    used: Seen | None = None
    doubts: _Doubts[Row, Seen] = _Doubts(reject, show, fault_of, at_once, is_open)
    # Not strict: the numbers have no end.
    for line, row in zip(numbers, rows):  # noqa: B905
        try:
            seen = read(row)
        except (ValueError, IndexError) as error:
            text = show(row)
            if text:
                doubts.last, doubts.last_line, doubts.used = last, last_line, used
                yield from doubts.believe()
                last, last_line, used, soon = doubts.last, doubts.last_line, doubts.used, doubts.soon
                reject(Defect("unreadable", line, _reason_of(error), text))
            continue
        if (
            seen.is_sound
            and last < seen.time <= soon
            # A quote has no such fields, and is never asked.
            and (is_open is None or seen.low < seen.high or seen.volume or is_open(seen.start))  # type: ignore[attr-defined]
        ):
            last, last_line, used = seen.time - at_once, line, seen
            yield seen
        else:
            doubts.last, doubts.last_line, doubts.used = last, last_line, used
            yield from doubts.weigh(line, row, seen)
            last, last_line, used, soon = doubts.last, doubts.last_line, doubts.used, doubts.soon
    yield from doubts.believe()


class _Doubts(Generic[Row, Seen]):
    """What becomes of rows that do not surely come in order.

    What comes after *last*, the time of *last_line*, which was *used*, and until *soon* does. A row
    that leaps is kept until the next one confirms it; meanwhile nothing comes soon, so that every
    row is weighed.
    """

    def __init__(
        self,
        reject: Reject,
        show: Callable[[Row], str],
        fault_of: Callable[[Seen], tuple[str, str]],
        at_once: int,
        is_open: Callable[[int], bool] | None,
    ) -> None:
        self._reject, self._show, self._at_once, self._is_open = reject, show, at_once, is_open
        self._fault_of: Callable[[Seen], tuple[str, str]] = fault_of
        self._leap: tuple[int, Row, Seen] | None = None
        self.last, self.last_line, self.soon = -1, 0, -1
        self.used: Seen | None = None

    def believe(self) -> Iterator[Seen]:
        """What has leapt, if anything has: nothing came back from there."""
        if self._leap is not None:
            line, _, seen = self._leap
            self._leap = None
            yield self._used(line, seen)

    def weigh(self, line: int, row: Row, seen: Seen) -> Iterator[Seen]:
        """What is delivered now that *seen* has come."""
        has_come_back = self._refutes_leap(line, seen)
        yield from self.believe()
        fault = self._fault(seen)
        if fault is not None:
            self._reject(Defect(fault[0], line, fault[1], self._show(row)))
        elif has_come_back or seen.time - self.last <= _LEAP:
            yield self._used(line, seen)
        else:
            self._leap = line, row, seen
            self.soon = -1

    def _used(self, line: int, seen: Seen) -> Seen:
        self.last, self.last_line, self.used = seen.time - self._at_once, line, seen
        self.soon = seen.time + _LEAP
        return seen

    def _refutes_leap(self, line: int, seen: Seen) -> bool:
        if self._leap is None:
            return False
        leapt, row, ahead = self._leap
        if not (seen.is_sound and self.last < seen.time < ahead.time - _LEAP):
            return False
        self._leap = None
        said = f"its time is {show_time(ahead.time)}, and line {line} is back at {show_time(seen.time)}"
        self._reject(Defect("ahead", leapt, said, self._show(row)))
        return True

    def _fault(self, seen: Seen) -> tuple[str, str] | None:
        if not seen.is_sound:
            return self._fault_of(seen)
        if seen.time <= self.last:
            return _fault_of_time(seen.time, self.last, self.last_line)
        if self._is_padding(seen):
            return "closed_market", f"it is flat and without volume, and {seen.symbol} is closed then"
        return None

    def _is_padding(self, seen: Bar | Quote) -> bool:
        if self._is_open is None or not isinstance(seen, Bar):
            return False
        # Where no bar has a volume, a bar without one may have been traded.
        if isinstance(self.used, Bar) and not self.used.volume:
            return False
        return seen.low == seen.high and not seen.volume and not self._is_open(seen.start)


def _reason_of(error: Exception) -> str:
    return "it has too few fields" if isinstance(error, IndexError) else str(error)


def _fault_of_bar(bar: Bar) -> tuple[str, str]:
    prices = {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
    others = {"volume": bar.volume, "spread": bar.spread}
    fault = _fault_of_numbers(prices, others) or _fault_of_range(bar.start, bar.time)
    if fault is not None:
        return fault
    if bar.high < bar.low:
        return "broken_ohlc", f"high {bar.high} is below low {bar.low}"
    for name in ("open", "close"):
        if not bar.low <= prices[name] <= bar.high:
            return "broken_ohlc", f"{name} {prices[name]} is not between low {bar.low} and high {bar.high}"
    return _TOO_LARGE


def _fault_of_quote(quote: Quote) -> tuple[str, str]:
    prices = {"bid": quote.bid, "ask": quote.ask}
    sizes = {"bid_size": quote.bid_size, "ask_size": quote.ask_size}
    fault = _fault_of_numbers(prices, sizes) or _fault_of_range(quote.time, quote.time)
    if fault is not None:
        return fault
    if quote.bid > quote.ask:
        return "crossed", f"bid {quote.bid} is above ask {quote.ask}"
    return _TOO_LARGE


def _fault_of_numbers(prices: dict[str, float], others: dict[str, float]) -> tuple[str, str] | None:
    for name, value in (*prices.items(), *others.items()):
        if not -_INFINITY < value < _INFINITY:
            return "not_finite", f"{name} is {value}"
    for name, value in prices.items():
        if value <= 0.0:
            return "not_positive", f"{name} is {value}"
    for name, value in others.items():
        if value < 0.0:
            return "not_positive", f"{name} is {value}"
    return None


def _fault_of_range(start: int, time: int) -> tuple[str, str] | None:
    if start >= 0 and time < _END_OF_TIME:
        return None
    return "unreadable", f"{show_time(start)} is not a time between 1970 and 2262"


def _fault_of_time(time: int, last: int, last_line: int) -> tuple[str, str]:
    if time == last:
        return "duplicate", f"line {last_line} has the same time"
    return "backward", f"its time is before that of line {last_line}"


def refuse_unreadable(
    seen: Sequence[Bar | Quote],
    defects: Sequence[Defect],
    turn: str = "write it again in the order of time",
) -> None:
    """Raise UnusableData if the first lines of a source gave nothing but *defects*, or run backwards.

    *turn* says what to do then.
    """
    if not seen:
        first = defects[0]
        raise UnusableData(f"has nothing to read in its first lines; line {first.line}: {first.reason}")
    if len(seen) == 1 and len(defects) > 1 and {defect.kind for defect in defects} <= _OUT_OF_ORDER:
        raise UnusableData(f"has its newest line first; {turn}")


def refuse_other_timeframe(starts: Sequence[int], length: int) -> None:
    """Raise OtherTimeframe if bars that begin at *starts* (ns) are not *length* ns long.

    Too short a length would show a bar before it is known: look-ahead.
    """
    steps = [after - before for before, after in pairwise(starts)]
    usual = Counter(steps).most_common(1)[0][0] if steps else length
    is_longer = len(steps) >= _ENOUGH_STEPS and min(steps) > length
    if is_longer or usual < length * _SHORT_DAY:
        raise OtherTimeframe(
            f"has bars {name_timeframe(usual)} apart, and timeframe says {name_timeframe(length)}; "
            f'write timeframe = "{name_timeframe(usual)}" if its bars are that long',
            usual,
        )
