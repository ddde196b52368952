"""The equity of a run over time, in a memory that does not grow with it.

Drawdown and daily closes are exact; the points kept for a picture get coarser as the run gets
longer, but the deepest drawdown and the end are always among them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import msgspec
import numpy as np

Series: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]

#: Points kept for the picture, between this and twice as many.
_POINTS = 4096


class Point(msgspec.Struct, frozen=True, array_like=True):
    """Equity at a time (ns UTC), and how far below its peak it was (a part of the peak)."""

    time: int
    equity: float
    drawdown: float


class Curve:
    """Takes the samples after each market event. *day_of* gives the trading day of a time."""

    def __init__(self, start: float, day_of: Callable[[int], int]) -> None:
        self._day_of = day_of
        self._peak = start
        self._stride = 1
        self._taken = 0
        self._points: list[Point] = []
        self._deepest: Point | None = None
        self._last: Point | None = None
        self._closes: dict[int, float] = {}
        self._exposed = 0
        self.samples = 0
        self.start = start
        self.final = start
        self.max_drawdown = 0.0

    def extend(self, times: list[int], equity: Series, held: Flags) -> None:
        """*equity* at *times* (ns UTC), oldest first, and whether a position was open at each."""
        if not times:
            return
        peaks = np.maximum.accumulate(np.maximum(equity, self._peak))
        drawdowns = np.where(peaks > 0, 1.0 - equity / np.where(peaks > 0, peaks, 1.0), 0.0)
        self._peak, self.final = float(peaks[-1]), float(equity[-1])
        self._exposed += int(np.count_nonzero(held))
        self._keep_closes(times, equity)
        self._keep_points(times, equity, drawdowns)
        self._keep_extremes(times, equity, drawdowns)
        self.samples += len(times)

    @property
    def exposure(self) -> float:
        """The part of the samples at which a position was open."""
        return self._exposed / self.samples if self.samples else 0.0

    @property
    def daily_closes(self) -> list[float]:
        """The equity at each trading day's last sample, oldest first, after the start's."""
        return [self.start, *self._closes.values()]

    @property
    def closes(self) -> Mapping[int, float]:
        """The equity at each trading day's last sample, by the day counted from 1970."""
        return MappingProxyType(self._closes)

    @property
    def points(self) -> list[Point]:
        """What a picture needs, oldest first: at most 2 * 4096 + 1 of the samples."""
        extremes = [point for point in (self._deepest, self._last) if point is not None]
        return sorted(dict.fromkeys([*self._points, *extremes]), key=lambda point: point.time)

    def _keep_closes(self, times: list[int], equity: Series) -> None:
        begin, day = 0, self._day_of(times[0])
        while begin < len(times):
            # The last sample of the day: the first one that is of another day is looked for by halves.
            end = bisect_right(times, day, lo=begin, key=self._day_of)
            self._closes[day] = float(equity[end - 1])
            begin = end
            if begin < len(times):
                day = self._day_of(times[begin])

    def _keep_points(self, times: list[int], equity: Series, drawdowns: Series) -> None:
        for number in range(-self._taken % self._stride, len(times), self._stride):
            self._points.append(Point(times[number], float(equity[number]), float(drawdowns[number])))
        self._taken += len(times)
        while len(self._points) >= 2 * _POINTS:
            self._points = self._points[::2]
            self._stride *= 2

    def _keep_extremes(self, times: list[int], equity: Series, drawdowns: Series) -> None:
        """The points that a picture must not miss, whatever else it leaves out."""
        deepest = int(drawdowns.argmax())
        if drawdowns[deepest] > self.max_drawdown:
            self.max_drawdown = float(drawdowns[deepest])
            self._deepest = Point(times[deepest], float(equity[deepest]), self.max_drawdown)
        self._last = Point(times[-1], float(equity[-1]), float(drawdowns[-1]))
