"""What is odd about market data: what, how often, where at first, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from nicegold import Defect, show_time

#: Not used; used, but look at it before you trade; or good to know.
Severity: TypeAlias = Literal["dropped", "warning", "note"]

_SHOWN = 5

#: What to do about lines that a feed does not use.
_ADVICE = {
    "unreadable": "look at the lines; if they are right, declare how they are written",
    "not_finite": "look at the lines",
    "not_positive": "look at the lines; 0 often stands for missing",
    "broken_ohlc": "are the columns in another order? name them with header or columns",
    "crossed": "are bid and ask the other way round?",
    "duplicate": "nothing, if the lines are alike",
    "backward": "see what comes before; an hour doubled in autumn is usual",
    "ahead": "nothing: one line had a wrong time",
    "closed_market": "nothing: the exporter filled closed hours",
}


class Finding(msgspec.Struct, frozen=True):
    """Something of one *kind* was seen *count* times; *first* says where at first, *advice* what to do."""

    kind: str
    severity: Severity
    count: int
    first: list[str]
    why: str
    advice: str


class Places:
    """Counts something, and keeps the first few times (ns UTC) at which it was."""

    def __init__(self) -> None:
        self.count = 0
        self._times: list[int] = []

    def add(self, time: int) -> None:
        self.count += 1
        if len(self._times) < _SHOWN:
            self._times.append(time)

    @property
    def first(self) -> list[str]:
        """Where it was at first, for a person."""
        return [show_time(time) for time in self._times]


class Dropped:
    """Counts the lines that a feed did not use, by kind."""

    def __init__(self) -> None:
        self.count = 0
        self._kinds: dict[str, tuple[Places, list[Defect]]] = {}

    def reject(self, defect: Defect) -> None:
        """Take a line that the feed would not deliver."""
        self.count += 1
        places, examples = self._kinds.setdefault(defect.kind, (Places(), []))
        places.count += 1
        if len(examples) < _SHOWN:
            examples.append(defect)

    def counts(self) -> dict[str, int]:
        return {kind: places.count for kind, (places, _) in sorted(self._kinds.items())}

    def findings(self) -> list[Finding]:
        return [self._finding(kind, places, examples) for kind, (places, examples) in self._kinds.items()]

    def _finding(self, kind: str, places: Places, examples: Sequence[Defect]) -> Finding:
        lines = [f"line {defect.line:,}" for defect in examples]
        advice = _ADVICE.get(kind, "look at the lines")
        return Finding(kind, "dropped", places.count, lines, examples[0].reason, advice)
