"""What watching adds to one call of a plugin, end to end."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import msgspec
import numpy as np

from nicegold import Bar
from tests.bench.engines import Everything, Outcome, plugins
from tests.bench.scenario import bare_loop, bars, rows
from tests.bench.walk import COLUMNS

#: ns that a watched call may cost more than an unwatched one, on a machine where the bare loop does so
#: many bars a second: other machines, and this one on a bad day, are measured by that.
MOST = 600.0
REFERENCE = 3_860_000.0
#: Strategies that only look: with them, most of what a bar costs is calls, so that what watching adds is
#: not lost in the noise of everything else.
LOOKERS = 8
Engine: TypeAlias = Callable[[Iterable[Bar]], Outcome]


class Added(msgspec.Struct, frozen=True):
    """ns that watching adds to a call: the median of the rounds, and its quartiles.

    *bare* is bars a second of the bare loop in the same rounds.
    """

    nanoseconds: float
    low: float
    high: float
    bare: float

    @property
    def scaled(self) -> float:
        """ns where the bare loop does REFERENCE bars a second."""
        return self.nanoseconds * self.bare / REFERENCE


def measure(count: int, rounds: int) -> Added:
    """Watched and read, and unwatched, in turn on *count* bars, round by round."""
    watched, unwatched = (
        Everything(watched=on, read=on, make=lambda: plugins(LOOKERS)) for on in (True, False)
    )
    return compared(watched, unwatched, count, rounds)


def compared(watched: Engine, unwatched: Engine, count: int, rounds: int) -> Added:
    """What each call of *watched* costs more than the same of *unwatched*."""
    table = np.array(list(rows(count)), dtype=COLUMNS)
    walk = list(zip(*(table[name].tolist() for name in COLUMNS.names or ()), strict=True))
    calls = watched(bars(walk)).calls
    seconds = in_turn(
        {
            "bare": lambda: bare_loop(table["open"].tolist(), table["close"].tolist()),
            "off": lambda: unwatched(bars(walk)),
            "on": lambda: watched(bars(walk)),
        },
        rounds,
    )
    added = [(on - off) / calls * 1e9 for on, off in zip(seconds["on"], seconds["off"], strict=True)]
    low, middle, high = statistics.quantiles(added, n=4, method="inclusive")
    return Added(middle, low, high, count / statistics.median(seconds["bare"]))


def in_turn(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of the thread's own time for each of the *rounds* of each of the *ways*.

    In turn, so that a machine whose speed drifts slows all of them; the thread's own, so that other
    processes slow none.
    """
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, work in ways.items():
            gc.collect()
            began = time.thread_time()
            work()
            seconds[way].append(time.thread_time() - began)
    return seconds
