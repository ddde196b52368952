"""What holding would have brought: the instruments of a run, bought at first sight and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from nicegold_ops.report.prices import MOST_CANDLES, Candle

_Floats: TypeAlias = npt.NDArray[np.float64]
_Times: TypeAlias = npt.NDArray[np.int64]


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """What it was worth at *time* (ns UTC), in account currency."""

    time: int
    equity: float


class Benchmark(msgspec.Struct, frozen=True):
    """Equal parts of the cash in each of *symbols* at its first open, unlevered, kept without costs.

    Seen at the ends of candles, so the drawdown is one between those.
    """

    symbols: list[str]
    total_return: float
    max_drawdown: float
    curve: list[Mark]


def buy_and_hold(cash: float, prices: Mapping[str, Sequence[Candle]]) -> Benchmark | None:
    """What *cash* becomes in the instruments of *prices*; None without any whose worth is known."""
    held = {symbol: found for symbol, candles in prices.items() if (found := _relatives(candles))}
    if not held or cash <= 0:
        return None
    times = _moments([times for times, _ in held.values()])
    equity = cash * np.mean([_at(times, *each) for each in held.values()], axis=0)
    peaks = np.maximum.accumulate(np.maximum(equity, cash))
    curve = [Mark(*each) for each in zip(times.tolist(), equity.tolist(), strict=True)]
    return Benchmark(list(held), float(equity[-1] / cash - 1.0), float(np.max(1.0 - equity / peaks)), curve)


def _relatives(candles: Sequence[Candle]) -> tuple[_Times, _Floats] | None:
    """The times of *candles*, and what one unit of account currency in their instrument is worth then."""
    known = [each for each in candles if each.rate > 0]
    if not known:
        return None
    bought, rate = known[0].open, known[0].rate
    worth = [1.0 + (each.close / bought - 1.0) * each.rate / rate for each in known]
    return np.array([each.time for each in known]), np.array(worth)


def _moments(times: list[_Times]) -> _Times:
    """All *times*, or as many of them as a picture needs, the last among them."""
    every = np.unique(np.concatenate(times))
    stride = -(-len(every) // MOST_CANDLES)
    return every[::-1][::stride][::-1]


def _at(moments: _Times, times: _Times, worth: _Floats) -> _Floats:
    """*worth* as last known at *moments*; 1 before the first."""
    known = np.searchsorted(times, moments, side="right")
    return np.concatenate([[1.0], worth])[known]
