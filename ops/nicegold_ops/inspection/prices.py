"""What prices, volumes and spreads look like when something is wrong with them."""

from __future__ import annotations

from collections import Counter, deque
from heapq import heappush, heappushpop
from math import log, sqrt
from statistics import median

from nicegold import DAY, SECOND, Bar, Instrument, Quote, show_time
from nicegold_ops.inspection.finding import Finding, Places

#: Prices that do not change for so long, and in so many bars, are stale.
_STALE, _STALE_BARS = 1800 * SECOND, 5
_HOUR = 3600 * SECOND
#: A smaller part of flat bars is not worth a word.
_WORTH_A_WORD = 0.0005
#: A spread of so many usual ones is wide.
_WIDE = 20
#: Spreads of 0 that are worth a word, where most are not 0.
_FEW = 0.5
#: Part of the volume that is usual below which the last bar may still have been going on.
_UNFINISHED = 0.2
_RECENT = 50
_MOVES = 3
#: More different spreads than any file has; those beyond are not counted.
_SPREADS = 100_000
#: What is usual for a price, by the symbol's first letters or by the currency it is in.
_USUAL = {"XAU": (150.0, 15_000.0), "JPY": (50.0, 400.0), "": (0.2, 3.0)}
_MAJORS = frozenset({"USD", "EUR", "GBP", "CHF", "AUD", "NZD", "CAD", "JPY"})


class Prices:
    """Looks at every bar or quote of *instrument*."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument, self._is_open = instrument, instrument.sessions.is_open
        self._flat, self._stale, self._closed = Places(), Places(), Places()
        self._count = 0
        self._last: tuple[float, ...] = ()
        self._run, self._run_begin, self._longest, self._is_stale = 0, 0, 0, False
        self._close = 0.0
        self._moves: list[tuple[float, int, float]] = []
        self._volumes: deque[float] = deque(maxlen=_RECENT)
        self._spreads: Counter[float] = Counter()
        self._wide_at: dict[float, Places] = {}
        self._last_time = 0

    def bar(self, bar: Bar) -> None:
        """Take the next bar."""
        if bar.low == bar.high:
            self._flat.add(bar.start)
        is_long = bar.time - bar.start >= DAY - _HOUR
        if not (is_long or self._is_open(bar.start) or self._is_open(bar.time - SECOND)):
            self._closed.add(bar.start)
        self._seen((bar.open, bar.high, bar.low, bar.close), bar.start, bar.time)
        self._moved(max(bar.high / self._close, self._close / bar.low) if self._close else 1.0, bar)
        self._close = bar.close
        self._volumes.append(bar.volume)
        self._spread(bar.spread, bar.start)

    def quote(self, quote: Quote) -> None:
        """Take the next quote."""
        if not self._is_open(quote.time):
            self._closed.add(quote.time)
        self._seen((quote.bid, quote.ask), quote.time, quote.time)
        self._close = quote.bid
        self._spread(round(quote.ask - quote.bid, 9), quote.time)

    def _seen(self, prices: tuple[float, ...], begin: int, end: int) -> None:
        self._count += 1
        if prices != self._last:
            self._last, self._run, self._run_begin, self._is_stale = prices, 0, begin, False
        self._run += 1
        if self._run >= _STALE_BARS and end - self._run_begin >= _STALE:
            self._may_be_stale(end)
        self._last_time = end

    def _may_be_stale(self, end: int) -> None:
        self._longest = max(self._longest, self._run)
        if not self._is_stale and self._instrument.sessions.open_time(self._run_begin, end) >= _STALE:
            self._is_stale = True
            self._stale.add(self._run_begin)

    def _moved(self, ratio: float, bar: Bar) -> None:
        move = ratio, bar.start, bar.close / self._close - 1.0 if self._close else 0.0
        if len(self._moves) < _MOVES:
            heappush(self._moves, move)
        elif move > self._moves[0]:
            heappushpop(self._moves, move)

    def _spread(self, spread: float, time: int) -> None:
        if spread not in self._spreads:
            if len(self._spreads) >= _SPREADS:
                return
            self._wide_at[spread] = Places()
        self._spreads[spread] += 1
        self._wide_at[spread].add(time)

    def largest_moves(self) -> list[str]:
        """The largest moves from one close to the next bar's extreme, for a person: they are used."""
        ordered = sorted(self._moves, reverse=True)
        return [
            f"{show_time(time)} {ratio - 1.0:.1%} ({change:+.1%} to the close)"
            for ratio, time, change in ordered
        ]

    def findings(self) -> list[Finding]:
        """What is odd about them."""
        found = [self._of_scale(), self._of_flat(), self._of_stale(), self._of_closed(), self._of_last()]
        return [*filter(None, found), *self._of_spreads()]

    def _of_scale(self) -> Finding | None:
        """Prices in points: 172497 for 1724.97."""
        usual = _usual(self._instrument.symbol)
        if usual is None or not self._close or self._close <= usual[1]:
            return None
        powers = [10**power for power in range(1, 7) if usual[0] <= self._close / 10**power <= usual[1]]
        if not powers:
            return None
        power = min(powers, key=lambda power: abs(log(self._close / power / sqrt(usual[0] * usual[1]))))
        why = f"{self._close:,.10g} is not a price of {self._instrument.symbol}: these look like points"
        return Finding("scale", "warning", self._count, [], why, f'write scale = "{power}"')

    def _of_flat(self) -> Finding | None:
        share = self._flat.count / max(self._count, 1)
        if share < _WORTH_A_WORD:
            return None
        why = f"open, high, low and close are one price in {share:.1%} of the bars"
        advice = (
            "are they made from one price a bar? a range cannot be traded in these"
            if share > 0.05
            else "usual"
        )
        severity = "warning" if share > 0.05 else "note"
        return Finding("flat", severity, self._flat.count, self._flat.first, why, advice)  # type: ignore[arg-type]

    def _of_stale(self) -> Finding | None:
        if not self._stale.count:
            return None
        why = f"nothing changed for half an hour and more; the longest run is {self._longest:,} bars"
        advice = "the source may have stopped; look at these times"
        return Finding("stale", "warning", self._stale.count, self._stale.first, why, advice)

    def _of_closed(self) -> Finding | None:
        if not self._closed.count:
            return None
        opening, closing = self._instrument.sessions.opening, self._instrument.sessions.closing
        why = f"they are outside of {opening} to {closing} {self._instrument.sessions.zone}"
        much = self._closed.count > 0.02 * self._count
        advice = (
            "see the clock; or say --sessions as they are" if much else "some sources go on a little longer"
        )
        severity = "warning" if much else "note"
        return Finding("closed_hours", severity, self._closed.count, self._closed.first, why, advice)  # type: ignore[arg-type]

    def _of_last(self) -> Finding | None:
        if len(self._volumes) < _RECENT:
            return None
        usual, last = median(self._volumes), self._volumes[-1]
        if last >= _UNFINISHED * usual:
            return None
        why = f"its volume is {last:,.10g} where {usual:,.10g} is usual, so it may not have been over"
        return Finding("unfinished", "note", 1, [show_time(self._last_time)], why, "leave the last bar out")

    def _of_spreads(self) -> list[Finding]:
        zeros = self._spreads.get(0.0, 0)
        total = sum(self._spreads.values())
        if not total or zeros > _FEW * total:
            return []
        usual = _middle(self._spreads)
        found = []
        if zeros:
            why = f"it is 0, where {usual:.10g} is usual; in a bar that says that it is not known"
            found.append(
                Finding(
                    "spread_zero", "note", zeros, self._wide_at[0.0].first, why, "costs are too low there"
                )
            )
        wide = [spread for spread in self._spreads if spread > _WIDE * usual]
        if wide:
            count = sum(self._spreads[spread] for spread in wide)
            why = f"it is more than {_WIDE} times the usual {usual:.10g}, at most {max(wide):.10g}"
            first = self._wide_at[max(wide)].first
            found.append(
                Finding("spread_wide", "note", count, first, why, "usual around the daily break and news")
            )
        return found


def _usual(symbol: str) -> tuple[float, float] | None:
    if symbol[:3] == "XAU" and symbol[3:6] == "USD":
        return _USUAL["XAU"]
    if {symbol[:3], symbol[3:6]} <= _MAJORS:
        return _USUAL.get(symbol[3:6], _USUAL[""])
    return None


def _middle(counts: Counter[float]) -> float:
    """The median of what is counted."""
    half, seen = sum(counts.values()) / 2, 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= half:
            return value
    return 0.0
