"""What the feeds have delivered, and what was wrong with the rest."""

from __future__ import annotations

from collections.abc import Callable

from nicegold import Bar, Market, Quote
from nicegold_ops.telemetry.counts import Counts, LabelGuard
from nicegold_ops.telemetry.metrics import Labels

#: The kinds of defect that our own feeds tell; they are counted from 0.
_DEFECTS = ("duplicate", "backward", "broken_ohlc", "not_finite", "unreadable", "refused")


class Feeds:
    """Counts by feed. Each feed has one thread; any may read. *wall* tells ns UTC."""

    def __init__(self, guard: LabelGuard, wall: Callable[[], int]) -> None:
        self.rejected = Counts(guard)
        self._wall = wall
        self._delivered: dict[str, dict[type[Market], int]] = {}
        self._last: dict[str, list[int]] = {}

    def counter(self, feed: str) -> Callable[[Market], None]:
        """Counts what *feed* delivers."""
        delivered = self._delivered.setdefault(feed, {Bar: 0, Quote: 0})
        last = self._last.setdefault(feed, [0])
        wall = self._wall
        for defect in _DEFECTS:
            self.rejected.cell(feed, defect)

        def count(market: Market) -> None:
            # Whatever else a feed yields, the engine refuses and counts.
            kind = type(market)
            if kind in delivered:
                delivered[kind] += 1
                last[0] = wall()

        return count

    def messages(self) -> list[tuple[Labels, float]]:
        """Bars and quotes by feed."""
        return [
            ((feed, kind.__name__), float(count))
            for feed, delivered in list(self._delivered.items())
            for kind, count in delivered.items()
        ]

    def last(self) -> list[tuple[Labels, float]]:
        """When each feed last delivered, s UTC."""
        return [((feed,), last[0] / 1e9) for feed, last in list(self._last.items())]
