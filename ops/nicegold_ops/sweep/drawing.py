"""Where things are on a drawing, in parts of a hundred: text keeps its size however wide the page is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Axis(msgspec.Struct, frozen=True):
    """A range of values from *low* to *high*, and the *ticks* at which it is labelled."""

    low: float
    high: float
    ticks: list[float]

    @classmethod
    def of(cls, values: Sequence[float], most_ticks: int = 6) -> Axis:
        """One that holds all *values*, with ticks at round numbers."""
        low, high = min(values), max(values)
        room = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
        low, high = low - room, high + room
        step = _round_step((high - low) / most_ticks)
        first = math.ceil(low / step)
        return cls(low, high, [number * step for number in range(first, math.floor(high / step) + 1)])

    def across(self, value: float) -> float:
        """How far *value* is from the low end, in percent."""
        return round((value - self.low) / (self.high - self.low) * 100, 3)

    def up(self, value: float) -> float:
        """How far *value* is from the high end, in percent: drawings grow downwards."""
        return round(100 - self.across(value), 3)


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is at least *least*."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(
        factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= least * (1 - 1e-9)
    )
