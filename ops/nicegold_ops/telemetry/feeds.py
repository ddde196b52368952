"""What the feeds have delivered, and what was wrong with the rest."""

from __future__ import annotations

from typing import TypeAlias

from nicegold import Bar, Market, Quote
from nicegold_ops.telemetry.counts import Counts, LabelGuard
from nicegold_ops.telemetry.metrics import Labels

#: By kind of message: how many came, and when the last did (ns UTC).
Delivered: TypeAlias = dict[type[Market], list[int]]

#: The kinds of defect that our own feeds tell; they are counted from 0.
_DEFECTS = ("duplicate", "backward", "broken_ohlc", "not_finite", "unreadable", "refused")


class Feeds:
    """Counts by feed. Each feed has one thread; any may read."""

    def __init__(self, guard: LabelGuard) -> None:
        self.rejected = Counts(guard)
        self._delivered: dict[str, Delivered] = {}

    def cells(self, feed: str) -> Delivered:
        """Where whoever takes a message from *feed* counts it, and notes when (ns UTC)."""
        for defect in _DEFECTS:
            self.rejected.cell(feed, defect)
        return self._delivered.setdefault(feed, {Bar: [0, 0], Quote: [0, 0]})

    def messages(self) -> list[tuple[Labels, float]]:
        """Bars and quotes by feed."""
        return [
            ((feed, kind.__name__), float(cell[0]))
            for feed, delivered in list(self._delivered.items())
            for kind, cell in delivered.items()
        ]

    def last(self) -> list[tuple[Labels, float]]:
        """When each feed last delivered, s UTC."""
        return [
            ((feed,), max(cell[1] for cell in delivered.values()) / 1e9)
            for feed, delivered in list(self._delivered.items())
        ]
