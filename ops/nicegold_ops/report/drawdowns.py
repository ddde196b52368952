"""Times below an earlier peak, by daily closes: how deep, how long, and whether they were made up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

import msgspec
from msgspec.structs import replace


class Drawdown(msgspec.Struct, frozen=True):
    """From the close at a peak to the first close that is as high again, or to the last close.

    Days are counted from 1970. *depth* is the part of the peak that was lost at *trough_day*'s close.
    """

    peak_day: int
    trough_day: int
    end_day: int
    depth: float
    is_recovered: bool

    @property
    def days(self) -> int:
        """Calendar days from the peak to the end."""
        return self.end_day - self.peak_day


def drawdowns_of(start: float, closes: Mapping[int, float]) -> list[Drawdown]:
    """The drawdowns of *closes* by trading day, oldest first; *start* is the close of the day before.

    A peak of nothing or less has no parts to lose.
    """
    found: list[Drawdown] = []
    peak, peak_day = start, next(iter(closes), 1) - 1
    below: Drawdown | None = None
    for day, close in closes.items():
        if close >= peak:
            if below:
                found.append(replace(below, end_day=day, is_recovered=True))
            peak, peak_day, below = close, day, None
        elif peak > 0:
            below = _seen(below or Drawdown(peak_day, day, day, 0.0, False), day, 1.0 - close / peak)
    return [*found, below] if below else found


def _seen(drawdown: Drawdown, day: int, depth: float) -> Drawdown:
    """*drawdown* with a *day* more, at the close of which it was *depth*."""
    if depth <= drawdown.depth:
        return replace(drawdown, end_day=day)
    return replace(drawdown, trough_day=day, end_day=day, depth=depth)


def average_drawdown(drawdowns: Sequence[Drawdown]) -> float | None:
    """The mean depth; None where there was no drawdown."""
    return math.fsum(each.depth for each in drawdowns) / len(drawdowns) if drawdowns else None


def longest_drawdown(drawdowns: Sequence[Drawdown]) -> int:
    """The most calendar days from a peak until it was reached again, or until the end."""
    return max((each.days for each in drawdowns), default=0)


def ulcer_index(closes: Sequence[float]) -> float | None:
    """Root of the mean of the squared drawdowns at all *closes*, with that before the first day.

    Martin and McCann, The Investor's Guide to Fidelity Funds, 1989 (there in percent).
    """
    squares = [
        (1.0 - close / peak) ** 2 if peak > 0 else 0.0
        for close, peak in zip(closes, accumulate(closes, max), strict=True)
    ]
    return math.sqrt(math.fsum(squares) / len(squares)) if len(squares) > 1 else None
