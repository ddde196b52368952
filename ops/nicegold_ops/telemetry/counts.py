"""Counters by their labels, bounded: a label that takes new values for ever must not fill the memory."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from nicegold_ops.forks import lock
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
        self._lock = lock()

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


class Histograms:
    """The children of one histogram with *bounds* (at most). Any thread may observe or read."""

    def __init__(self, guard: LabelGuard, bounds: tuple[float, ...]) -> None:
        self._guard = guard
        self._bounds = bounds
        self._names = (*map(str, bounds), "+Inf")
        #: By labels, the count in each bucket, and the sum of all values in the last place.
        self._children: dict[Labels, list[float]] = {}
        self._lock = lock()

    def child(self, *labels: str) -> None:
        """It is there, with nothing in it, from now on."""
        with self._lock:
            self._child(labels)

    def observe(self, value: float, *labels: str) -> None:
        """Count *value*."""
        with self._lock:
            child = self._child(labels)
            if child is not None:
                child[bisect_left(self._bounds, value)] += 1
                child[-1] += value

    def buckets(self) -> list[tuple[Labels, list[tuple[str, float]], float]]:
        """By labels, each bound with how many values were at most that; and their sum."""
        with self._lock:
            children = [(labels, list(child)) for labels, child in self._children.items()]
        return [
            (labels, list(zip(self._names, accumulate(child[:-1]), strict=True)), child[-1])
            for labels, child in children
        ]

    def _child(self, labels: Labels) -> list[float] | None:
        known = self._children.get(labels)
        if known is None and len(self._children) >= self._guard.limit:
            self._guard.overflow[0] += 1
            return None
        return self._children.setdefault(labels, [0.0] * (len(self._bounds) + 2))
