"""The equity of a run over time, in a memory that does not grow with it.

Drawdown and daily closes are exact; the points kept for a picture get coarser as the run gets
longer, but the deepest drawdown and the end are always among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec
import numpy as np

#: Samples looked at together: numpy on a chunk costs less than Python on each.
_CHUNK = 4096
#: Points kept for the picture, between this and twice as many.
_POINTS = 4096


class Point(msgspec.Struct, frozen=True, array_like=True):
    """Equity at a time (ns UTC), and how far below its peak it was (a part of the peak)."""

    time: int
    equity: float
    drawdown: float


class Curve:
    """Takes a sample after each market event. *day_of* gives the trading day of a time."""

    def __init__(self, start: float, day_of: Callable[[int], int]) -> None:
        self._day_of = day_of
        self._times: list[int] = []
        self._equity: list[float] = []
        self._held: list[bool] = []
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

    def sample(self, time: int, equity: float, is_exposed: bool) -> None:
        """*equity* at *time*, and whether a position was open."""
        self._times.append(time)
        self._equity.append(equity)
        self._held.append(is_exposed)
        if len(self._times) >= _CHUNK:
            self.settle()

    def settle(self) -> None:
        """Work in what waits; call it before reading."""
        if not self._times:
            return
        equity = np.array(self._equity)
        peaks = np.maximum.accumulate(np.maximum(equity, self._peak))
        drawdowns = np.where(peaks > 0, 1.0 - equity / np.where(peaks > 0, peaks, 1.0), 0.0)
        self._peak, self.final = float(peaks[-1]), float(equity[-1])
        self._exposed += sum(self._held)
        self._keep_closes()
        self._keep_points(drawdowns)
        self._keep_extremes(drawdowns)
        self.samples += len(self._times)
        self._times, self._equity, self._held = [], [], []

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

    def _keep_closes(self) -> None:
        days = [self._day_of(time) for time in self._times[:: len(self._times) - 1 or 1]]
        if len(set(days)) == 1:
            self._closes[days[0]] = self._equity[-1]
            return
        for time, equity in zip(self._times, self._equity, strict=True):
            self._closes[self._day_of(time)] = equity

    def _keep_points(self, drawdowns: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        for number, time in enumerate(self._times):
            if self._taken % self._stride == 0:
                self._points.append(Point(time, self._equity[number], float(drawdowns[number])))
            self._taken += 1
        if len(self._points) >= 2 * _POINTS:
            self._points = self._points[::2]
            self._stride *= 2

    def _keep_extremes(self, drawdowns: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        """The points that a picture must not miss, whatever else it leaves out."""
        deepest = int(drawdowns.argmax())
        if drawdowns[deepest] > self.max_drawdown:
            self.max_drawdown = float(drawdowns[deepest])
            self._deepest = Point(self._times[deepest], self._equity[deepest], self.max_drawdown)
        self._last = Point(self._times[-1], self._equity[-1], float(drawdowns[-1]))
