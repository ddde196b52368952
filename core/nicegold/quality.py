"""Market data that cannot be right: told apart from what can, counted, and never silently repaired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias, TypeVar

import msgspec

from nicegold.clock import show_time
from nicegold.model import Bar, Quote
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


class UnusableData(ValueError):
    """Data that cannot be used at all; says where they are, what is wrong and what to do."""


class Defect(msgspec.Struct, frozen=True):
    """A line that was not used: its *kind* for counting, *reason* for a person, *text* as it stood.

    *line* counts from 1. Kinds: unreadable, not_finite, not_positive, broken_ohlc, crossed,
    duplicate, backward.
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
) -> Iterator[Bar]:
    """The bars that *read* makes of *rows*, each later than the one before; *reject* gets the rest.

    *read* raises ValueError or IndexError for what it cannot read. *show* gives the text of a row;
    a row that shows nothing is blank, and skipped. *first* is the number of the first row.
    """
    return _sound(rows, read, reject, show, first, _fault_of_bar, 0)


def sound_quotes(
    rows: Iterable[Row],
    read: Callable[[Row], Quote],
    reject: Reject,
    show: Callable[[Row], str],
    *,
    first: int = 1,
) -> Iterator[Quote]:
    """As `sound_bars`, for quotes; several may be of one moment."""
    return _sound(rows, read, reject, show, first, _fault_of_quote, 1)


def _sound(
    rows: Iterable[Row],
    read: Callable[[Row], Seen],
    reject: Reject,
    show: Callable[[Row], str],
    first: int,
    fault_of: Callable[[Seen], tuple[str, str]],
    at_once: int,
) -> Iterator[Seen]:
    last, last_line = -1, 0
    for line, row in enumerate(rows, first):
        try:
            seen = read(row)
        except (ValueError, IndexError) as error:
            text = show(row)
            if text:
                reject(Defect("unreadable", line, _reason_of(error), text))
            continue
        if seen.is_sound and seen.time > last:
            last, last_line = seen.time - at_once, line
            yield seen
        else:
            fault = None if seen.is_sound else fault_of(seen)
            kind, reason = fault or _fault_of_time(seen.time, last, last_line)
            reject(Defect(kind, line, reason, show(row)))


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


def refuse_unreadable(seen: Sequence[Bar | Quote], defects: Sequence[Defect]) -> None:
    """Raise UnusableData if the first lines of a source gave nothing but *defects*, or run backwards."""
    if not seen:
        first = defects[0]
        raise UnusableData(f"has nothing to read in its first lines; line {first.line}: {first.reason}")
    if len(seen) == 1 and len(defects) > 1 and all(defect.kind == "backward" for defect in defects):
        raise UnusableData("has its newest line first; turn its lines round, such as with tac")


def refuse_other_timeframe(starts: Sequence[int], length: int) -> None:
    """Raise UnusableData if bars that begin at *starts* (ns) are not *length* ns long.

    Too short a length would show a bar before it is known: look-ahead.
    """
    steps = [after - before for before, after in pairwise(starts)]
    usual = Counter(steps).most_common(1)[0][0] if steps else length
    is_longer = len(steps) >= _ENOUGH_STEPS and min(steps) > length
    if is_longer or usual < length * _SHORT_DAY:
        raise UnusableData(
            f"has bars {name_timeframe(usual)} apart, and timeframe says {name_timeframe(length)}; "
            f'write timeframe = "{name_timeframe(usual)}" if its bars are that long'
        )
