"""How the cost of a run grows with its bars, its plugins and its instruments.

Sizes along each axis are measured with everything on, in turn and on the thread's own time. From these
alone it is predicted what a run costs that is larger on all axes at once, and that run is measured too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace
from scipy.stats import t as student  # type: ignore[import-untyped]  # it ships no types

from nicegold import Bar, Event, Instrument, Order, Portfolio, hookimpl, plugin
from nicegold_plugins.brokers.paper import Paper
from tests.bench.calls import in_turn
from tests.bench.engines import Everything, Outcome, Plugins
from tests.bench.scenario import FEE, MINUTE, Cross, Limit, Looker, Row, rows

#: A slope that is at most this is one that is at most 1: seconds on two shared cores are not exact.
STEEPEST = 1.05
#: What the largest run may cost more than was predicted.
MOST_OVER = 1.1
Floats: TypeAlias = npt.NDArray[np.float64]
AXES = ("bars", "plugins", "instruments")


class Size(msgspec.Struct, frozen=True):
    """How large a run is. *bars* are those of all instruments together."""

    bars: int
    instruments: int = 1
    plugins: int = 4


class Grid(msgspec.Struct, frozen=True):
    """What is measured: sizes along each axis, all others as in the first, and the largest."""

    bars: tuple[int, ...] = (25_000, 50_000, 100_000, 200_000, 400_000)
    plugins: tuple[int, ...] = (4, 8, 12, 16, 20)
    instruments: tuple[int, ...] = (1, 2, 4, 7, 10)
    at: int = 100_000
    largest: Size = Size(1_000_000, 10, 20)
    rounds: int = 3

    def along(self, axis: str) -> list[Size]:
        """The sizes along *axis*, the smallest first."""
        return [replace(Size(self.at), **{axis: each}) for each in getattr(self, axis)]

    @property
    def sizes(self) -> list[Size]:
        """Each size once, the largest last."""
        return [*dict.fromkeys(size for axis in AXES for size in self.along(axis)), self.largest]


QUICK = Grid(bars=(5_000, 10_000, 20_000, 40_000), at=10_000, largest=Size(100_000, 10, 20))


class Growth(msgspec.Struct, frozen=True):
    """Seconds along one axis, the medians of the rounds, fitted as *fixed* + *each* x and as a power of x.

    *slope* is that power, *within* how far from it 95 % of such measurements would put it.
    """

    axis: str
    sizes: list[int]
    seconds: list[float]
    fixed: float
    each: float
    slope: float
    within: float


class Scaling(msgspec.Struct, frozen=True):
    """Growth along each axis; of the largest run its seconds, and how many there are for each predicted."""

    growth: list[Growth]
    largest: Size
    seconds: float
    over: float


def measure(grid: Grid) -> Scaling:
    """Run every size of *grid* in turn, round after round."""
    walk = list(rows(max(size.bars // size.instruments for size in grid.sizes)))
    run_of(Size(1000), walk)()  # what is only done once is done
    ways = {str(number): run_of(size, walk) for number, size in enumerate(grid.sizes)}
    seconds = in_turn(ways, grid.rounds)
    return scaling(grid, dict(zip(grid.sizes, seconds.values(), strict=True)))


def scaling(grid: Grid, seconds: Mapping[Size, Sequence[float]]) -> Scaling:
    """What *seconds*, by size and round, say about how cost grows."""
    small = grid.sizes[:-1]
    measured = np.array([seconds[size] for size in small]).T
    largest = seconds[grid.largest]
    over = [own / predicted(small, each, grid.largest) for own, each in zip(largest, measured, strict=True)]
    growth = [_growth(axis, grid, seconds) for axis in AXES]
    return Scaling(growth, grid.largest, statistics.median(largest), statistics.median(over))


def predicted(sizes: Sequence[Size], seconds: Floats, larger: Size) -> float:
    """Seconds of a *larger* run, if each bar, and each plugin and instrument on each bar, costs the same.

    Fitted by least squares of the relative errors, since noise grows with the seconds.
    """
    weights = 1 / seconds
    terms = np.array([_terms(size) for size in sizes]) * weights[:, None]
    cost = np.linalg.lstsq(terms, seconds * weights, rcond=None)[0]
    return float(cost @ _terms(larger))


def power(sizes: Sequence[int], seconds: Floats) -> tuple[float, float]:
    """The power of x that *seconds*, a row for each round, grow with, and its 95 % interval to either side.

    Least squares on logarithms with a level of its own for each round: a machine whose speed drifts
    changes levels. The interval is Student's, from the residuals.
    """
    x = np.log(sizes) - np.log(sizes).mean()
    y = np.log(seconds) - np.log(seconds).mean(axis=1, keepdims=True)
    weight = len(y) * (x @ x)
    slope = float((y @ x).sum() / weight)
    freedom = y.size - len(y) - 1
    error = float(((y - slope * x) ** 2).sum() / freedom / weight) ** 0.5
    return slope, float(student.ppf(0.975, freedom)) * error


def _growth(axis: str, grid: Grid, seconds: Mapping[Size, Sequence[float]]) -> Growth:
    along = grid.along(axis)
    sizes = [getattr(size, axis) for size in along]
    measured = np.array([seconds[size] for size in along]).T
    medians = np.median(measured, axis=0)
    each, fixed = np.polyfit(sizes, medians, 1)
    return Growth(axis, sizes, medians.tolist(), float(fixed), float(each), *power(sizes, measured))


def _terms(size: Size) -> Floats:
    return np.array([1.0, size.bars, size.bars * size.plugins, size.bars * size.instruments])


# A run of a size.


def run_of(size: Size, walk: Sequence[Row]) -> Callable[[], Outcome]:
    """What does a run of *size*, whose instruments all make the same *walk*."""
    symbols = [f"GOLD{number}" for number in range(size.instruments)]
    instruments = [Instrument(symbol=symbol, tick_size=Decimal("0.01")) for symbol in symbols]
    run = Everything(watched=True, make=lambda: plugins(size.plugins, symbols), instruments=instruments)
    return lambda: run(bars(symbols, walk[: size.bars // size.instruments]))


def bars(symbols: Sequence[str], walk: Iterable[Row]) -> Iterator[Bar]:
    """The *walk* of each of *symbols*, side by side."""
    for start, *prices in walk:
        for symbol in symbols:
            yield Bar(symbol, start, start + MINUTE, *prices)


def plugins(count: int, symbols: Iterable[str]) -> Plugins:
    """So many plugins: one that trades each of *symbols*, a risk check, a venue and others of every kind.

    One trades them all, so that instruments can grow in number while plugins do not.
    """
    others: Plugins = {f"{number}": _OTHERS[number % len(_OTHERS)]() for number in range(count - 3)}
    trading = Crosses(name="crosses", symbols=tuple(symbols))
    return {"crosses": trading, "limit": Limit(), **others, "venue": Paper(commission_rate=FEE)}


@plugin
class Crosses:
    """A cross of averages for each of *symbols*."""

    name: str
    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        self._crosses = {symbol: Cross(name=self.name) for symbol in self.symbols}

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        orders: list[Order] | None = self._crosses[bar.symbol].on_bar(bar, portfolio)
        return orders and [replace(order, symbol=bar.symbol) for order in orders]


@plugin
class Watcher:
    """Look at each event."""

    @hookimpl
    def on_event(self, event: Event) -> None:
        return None


#: Four more plugins are one more of each of these.
_OTHERS: tuple[Callable[[], object], ...] = (Looker, Looker, Watcher, Limit)
