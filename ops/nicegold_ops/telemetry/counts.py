"""Counters by their labels, bounded: a label that takes new values for ever must not fill the memory."""

from __future__ import annotations

from threading import Lock

from nicegold_ops.telemetry.metrics import Labels

#: A count that whoever holds it raises: `cell[0] += 1`. Only one thread may, or counts are lost.
Cell = list[int]


class LabelGuard:
    """Says how many children a metric may have; what would have been one too many counts here."""

    def __init__(self, limit: int = 500) -> None:
        self.limit = limit
        self.overflow: Cell = [0]


class Counts:
    """The children of one counter. Any thread may make one, count with `add`, or read."""

    def __init__(self, guard: LabelGuard) -> None:
        self._guard = guard
        self._children: dict[Labels, Cell] = {}
        self._lock = Lock()

    def cell(self, *labels: str) -> Cell:
        """The child's own cell, for a thread that counts often. It is there, at 0, from now on."""
        with self._lock:
            return self._cell(labels)

    def add(self, *labels: str) -> None:
        """Count one more."""
        with self._lock:
            self._cell(labels)[0] += 1

    def samples(self) -> list[tuple[Labels, float]]:
        """What was counted so far, by labels."""
        with self._lock:
            return [(labels, float(cell[0])) for labels, cell in self._children.items()]

    def _cell(self, labels: Labels) -> Cell:
        known = self._children.get(labels)
        if known is not None:
            return known
        if len(self._children) >= self._guard.limit:
            return self._guard.overflow
        return self._children.setdefault(labels, [0])
