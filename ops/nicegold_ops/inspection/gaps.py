"""Where bars are missing although the market was open."""

from __future__ import annotations

from heapq import heappush, heappushpop
from typing import TypeAlias

import msgspec

from nicegold import DAY, SECOND, Sessions, show_time
from nicegold_ops.inspection.finding import Finding

_MINUTE, _HOUR = 60 * SECOND, 3600 * SECOND
#: Quotes that come less often are missing.
_QUIET = 5 * _MINUTE
#: Of so many the largest are kept, however many there are.
_KEPT = 100
#: A share of the open time without bars that is worth a warning, and an open time that always is.
_MUCH, _LONG = 0.02, 12 * _HOUR

#: How long it was open, and from when to when.
Sized: TypeAlias = tuple[int, int, int]


class Gap(msgspec.Struct, frozen=True):
    """Nothing came from *after* until *until* (ns UTC), of which the market was *open* for so many ns.

    *missing* bars would fit in that.
    """

    after: int
    until: int
    open: int
    missing: int


class Gaps:
    """Finds the gaps between bars of *length* ns, or quotes if it is 0; keeps the *most* largest."""

    def __init__(self, sessions: Sessions, length: int, *, most: int = _KEPT) -> None:
        self._sessions, self._length, self._most = sessions, length, most
        # The sessions of a day or a week are shorter than it.
        self._shortest = (length // 2 if length >= DAY else length) or _QUIET
        self._largest: list[Sized] = []
        self._end = 0
        self.count = self.missing = self.open = 0

    def take(self, begin: int, end: int) -> None:
        """Take the next bar, or a quote that begins where it ends."""
        if self._end and begin > self._end:
            self._between(self._end, begin)
        self._end = max(end, self._end)

    def largest(self) -> list[Gap]:
        """The largest, by the time that the market was open."""
        return [self._gap(*sized) for sized in sorted(self._largest, key=lambda sized: (-sized[0], sized[1]))]

    def findings(self, whole: int) -> list[Finding]:
        """What they come to, where the market was open for *whole* ns."""
        if not self.count:
            return []
        largest = self.largest()
        severe = self.open > _MUCH * whole or largest[0].open >= max(_LONG, 2 * self._length)
        unit = "bars" if self._length else "minutes"
        why = (
            f"{self.missing:,} {unit} are missing in open hours ({self.open / whole:.1%}); the largest gap: "
            f"{show_time(largest[0].after)} to {show_time(largest[0].until)}, {largest[0].missing:,} {unit}"
        )
        advice = "fill it from another source, or test around it" if severe else "usual in quiet hours"
        if self._sessions == Sessions():
            advice = "if it closes at weekends, say so with --sessions"
        first = [show_time(gap.after) for gap in sorted(largest[:5], key=lambda gap: gap.after)]
        return [Finding("gap", "warning" if severe else "note", self.count, first, why, advice)]

    def _between(self, after: int, until: int) -> None:
        is_open = self._sessions.open_time(after, until)
        if is_open < self._shortest:
            return
        self.count += 1
        self.open += is_open
        self.missing += self._gap(is_open, after, until).missing
        sized = is_open, after, until
        if len(self._largest) < self._most:
            heappush(self._largest, sized)
        else:
            heappushpop(self._largest, sized)

    def _gap(self, is_open: int, after: int, until: int) -> Gap:
        return Gap(after, until, is_open, round(is_open / (self._length or _MINUTE)))
