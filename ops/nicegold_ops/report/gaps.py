"""Bars that are missing while an instrument's sessions are open."""

from __future__ import annotations

from heapq import nlargest
from operator import attrgetter

import msgspec

from nicegold import Bar, Sessions

#: Gaps kept one by one, the longest.
_GAPS_KEPT = 20


class Gap(msgspec.Struct, frozen=True):
    """From *start* to *end* (ns UTC) came nothing; so many bars were *missing* of open sessions."""

    start: int
    end: int
    missing: int


class Gaps(msgspec.Struct, frozen=True):
    """Of *symbol* came *bars*; *gaps* and the bars *missing* in them were counted, the longest kept."""

    symbol: str
    bars: int
    gaps: int
    missing: int
    longest: list[Gap]


class GapFinder:
    """Looks for gaps between the bars of *symbol*, which trades in *sessions*."""

    def __init__(self, symbol: str, sessions: Sessions) -> None:
        self._symbol = symbol
        self._sessions = sessions
        self._until = 0
        self._bars = self._gaps = self._missing = 0
        self._longest: list[Gap] = []

    def add(self, bar: Bar) -> None:
        """Take the next bar."""
        self._bars += 1
        if bar.start > self._until > 0:
            self._look(self._until, bar.start, bar.time - bar.start)
        if bar.time > self._until:
            self._until = bar.time

    @property
    def found(self) -> Gaps:
        return Gaps(self._symbol, self._bars, self._gaps, self._missing, self._longest)

    def _look(self, start: int, end: int, length: int) -> None:
        # Bars of no length are moments, and nobody knows when the next should have come.
        missing = self._sessions.open_time(start, end) // length if length else 0
        if missing:
            self._gaps += 1
            self._missing += missing
            self._longest = nlargest(
                _GAPS_KEPT, [*self._longest, Gap(start, end, missing)], key=attrgetter("missing")
            )
