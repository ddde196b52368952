"""A figure over two parameters at a time, as the cells of a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Literal, TypeAlias

import msgspec

from nicegold_ops.sweep.figures import FIGURES, Figure
from nicegold_ops.sweep.result import SweepResult

#: How the trials that share a cell become one value: the others' parameters differ among them.
Reduction: TypeAlias = Literal["best", "median"]
#: Digits of a value on a page: it is printed with fewer.
_DIGITS = 6


class Heat(msgspec.Struct, frozen=True):
    """The *figure* over the values of the parameters *x* and *y*, by their places in the grid.

    *cells* are one row for each value of *y*, each with one value for each of *x*; None where
    nothing was tried, or the figure has no meaning. With one parameter *y* is None and there is
    one row.
    """

    figure: str
    x: int
    y: int | None
    reduction: Reduction
    cells: list[list[float | None]]


def mapped(result: SweepResult) -> list[Figure]:
    """What can be mapped: the metric, what its neighbours have, then the other figures."""
    by = FIGURES[result.metric]
    near = msgspec.structs.replace(by, name="neighbours", label=f"{by.label} of the neighbours")
    return [by, near, *(each for each in FIGURES.values() if each.name != by.name)]


def heats(result: SweepResult) -> list[Heat]:
    """Of each figure over each pair of parameters; with more than two, by the best and by the median."""
    axes: list[tuple[int, int | None]] = list(combinations(range(len(result.parameters)), 2)) or [(0, None)]
    reductions: tuple[Reduction, ...] = ("best", "median") if len(result.parameters) > 2 else ("best",)
    return [
        Heat(figure.name, x, y, reduction, _cells(result, figure, x, y, reduction))
        for figure in mapped(result)
        for x, y in axes
        for reduction in reductions
    ]


def _cells(
    result: SweepResult, figure: Figure, x: int, y: int | None, reduction: Reduction
) -> list[list[float | None]]:
    sizes = [len(values) for values in result.parameters.values()]
    found: dict[tuple[int, int], list[float]] = {}
    for row in result.rows:
        value = row.neighbours if figure.name == "neighbours" else figure.of(row.statistics)
        if value is not None and not row.failed:
            found.setdefault((row.at[x], 0 if y is None else row.at[y]), []).append(value)
    return [
        [_reduced(found.get((across, down)), figure, reduction) for across in range(sizes[x])]
        for down in range(1 if y is None else sizes[y])
    ]


def _reduced(values: Sequence[float] | None, figure: Figure, reduction: Reduction) -> float | None:
    if not values:
        return None
    value = median(values) if reduction == "median" else max(values, key=figure.rank)
    return float(f"{value:.{_DIGITS}g}")
