"""What is in market data, and what is odd about it: every event is looked at once, memory stays bounded.

To look at something else, add a module whose class takes events and answers `Finding`s.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from nicegold import Bar, Clock, Instrument, Market
from nicegold.openings import Openings, Verdict
from nicegold_ops.conversion import Provenance
from nicegold_ops.inspection.calendar import Calendar
from nicegold_ops.inspection.coverage import Coverage
from nicegold_ops.inspection.finding import Dropped, Finding
from nicegold_ops.inspection.gaps import Gap, Gaps
from nicegold_ops.inspection.prices import Prices

_ORDER = {"dropped": 0, "warning": 1, "note": 2}
_GAPS_TOLD = 20
#: Findings that say nothing while the clock is wrong.
_BY_SESSIONS = frozenset({"gap", "closed_hours"})


class Inspected(msgspec.Struct, frozen=True):
    """What a file holds. Times are ns UTC; *rows* = *events* + *dropped*; *gaps* are the largest ones."""

    file: Path
    feed: str
    recognised: list[str]
    provenance: Provenance | None
    rows: int
    events: int
    first: int
    last: int
    clock: Verdict
    findings: list[Finding]
    dropped: dict[str, int]
    gaps: list[Gap]
    missing: int
    largest_moves: list[str]


class Inspection:
    """Looks at bars of *length* ns, or quotes if it is 0, of *instrument*, read by the clock *declared*."""

    def __init__(self, declared: str, length: int, instrument: Instrument) -> None:
        self._dropped = Dropped()
        self.reject = self._dropped.reject
        self._openings = Openings(declared, length, instrument)
        self._gaps = Gaps(instrument.sessions, length)
        self.coverage = Coverage(instrument.sessions)
        self._prices = Prices(instrument)
        self._calendar = Calendar(Clock.parse(declared), length)
        self.events = self._first = self._last = 0

    def take(self, market: Market) -> None:
        """Take what the feed delivers, in its order."""
        self._openings.take(market)
        if isinstance(market, Bar):
            begin = market.start
            self._prices.bar(market)
            self._calendar.take(begin)
        else:
            begin = market.time
            self._prices.quote(market)
        self._gaps.take(begin, market.time)
        self.coverage.take(begin, market.time)
        if not self.events:
            self._first = begin
        self.events += 1
        self._last = market.time

    def result(
        self,
        file: Path,
        feed: str,
        recognised: list[str],
        provenance: Provenance | None,
        refused: Sequence[Finding] = (),
    ) -> Inspected:
        """What they come to, with what is *refused* already."""
        verdict = self._openings.verdict()
        return Inspected(
            file=file,
            feed=feed,
            recognised=recognised,
            provenance=provenance,
            rows=self.events + self._dropped.count,
            events=self.events,
            first=self._first,
            last=self._last,
            clock=verdict,
            findings=self._findings(verdict, refused),
            dropped=self._dropped.counts(),
            gaps=self._gaps.largest()[:_GAPS_TOLD],
            missing=self._gaps.missing,
            largest_moves=self._prices.largest_moves(),
        )

    def _findings(self, verdict: Verdict, refused: Sequence[Finding]) -> list[Finding]:
        found = [
            *refused,
            *self._dropped.findings(),
            *_of_clock(verdict),
            *self._gaps.findings(self.coverage.open),
            *self._prices.findings(),
            *self._calendar.findings(self.events + self._dropped.count),
        ]
        if verdict.says == "contradicts":
            found = [_by_wrong_clock(finding) for finding in found]
        return sorted(found, key=lambda each: (each.kind != "clock", _ORDER[each.severity], -each.count))


def _by_wrong_clock(finding: Finding) -> Finding:
    if finding.kind not in _BY_SESSIONS:
        return finding
    return msgspec.structs.replace(finding, severity="note", advice="mend the clock first, then look again")


def _of_clock(verdict: Verdict) -> list[Finding]:
    if verdict.says != "contradicts":
        return []
    count = verdict.openings - verdict.explained
    return [Finding("clock", "warning", count, [], verdict.reason, verdict.way_out)]
