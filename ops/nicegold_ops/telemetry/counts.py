"""Counters by their labels, bounded: a label that takes new values for ever must not fill the memory."""

from __future__ import annotations

from threading import Lock

from nicegold_ops.telemetry.metrics import Labels, Metric


class LabelGuard:
    """Says how many children a metric may have, and counts what did not fit."""

    def __init__(self, limit: int = 500) -> None:
        self.limit = limit
        #: Counts that were dropped since their labels would have been one child too many.
        self.dropped = 0


class Counts:
    """The children of one counter. Any thread may add or read."""

    def __init__(self, metric: Metric, guard: LabelGuard) -> None:
        self.metric = metric
        self._guard = guard
        self._children: dict[Labels, int] = {}
        self._lock = Lock()

    def add(self, *labels: str, by: int = 1) -> None:
        """Count *by* more for *labels*; 0 makes the child be there, so that its rate can be taken."""
        with self._lock:
            known = self._children.get(labels)
            if known is None and len(self._children) >= self._guard.limit:
                self._guard.dropped += by
                return
            self._children[labels] = (known or 0) + by

    def samples(self) -> list[tuple[Labels, float]]:
        """What was counted so far, by labels."""
        with self._lock:
            return [(labels, float(count)) for labels, count in self._children.items()]
