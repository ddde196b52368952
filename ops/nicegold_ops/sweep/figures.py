"""The figures by which trials are compared: which way is better, and how each is printed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import msgspec

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.report import formats
from nicegold_ops.report.statistics import Statistics
from nicegold_ops.suggest import did_you_mean


class Figure(msgspec.Struct, frozen=True):
    """One of `Statistics` by *name*; *form* is ratio, percent, money or count.

    *neutral* parts good from bad, where something does.
    """

    name: str
    label: str
    form: str
    is_better_low: bool = False
    neutral: float | None = None

    def of(self, statistics: Statistics | None) -> float | None:
        """Its value, None where it has no meaning."""
        found: float | None = None if statistics is None else getattr(statistics, self.name)
        return found

    def rank(self, value: float | None) -> float:
        """A number that is higher for what is better, and lowest for None."""
        if value is None or math.isnan(value):
            return -math.inf
        return -value if self.is_better_low else value

    def shown(self, value: float | None) -> str:
        """*value* for a person; a dash for None."""
        return _FORMS[self.form](value) or "–"


_FORMS: dict[str, Callable[[float | None], str]] = {
    "ratio": formats.ratio,
    "money": formats.money,
    "percent": formats.percent,
    "count": partial(formats.written, form=",.0f"),
}
FIGURES = {
    each.name: each
    for each in (
        Figure("sharpe", "Sharpe", "ratio", neutral=0.0),
        Figure("sortino", "Sortino", "ratio", neutral=0.0),
        Figure("calmar", "Calmar", "ratio", neutral=0.0),
        Figure("total_return", "Return", "percent", neutral=0.0),
        Figure("annual_return", "Annual return", "percent", neutral=0.0),
        Figure("max_drawdown", "Max drawdown", "percent", is_better_low=True),
        Figure("ulcer_index", "Ulcer index", "percent", is_better_low=True),
        Figure("profit_factor", "Profit factor", "ratio", neutral=1.0),
        Figure("expectancy", "Expectancy", "money", neutral=0.0),
        Figure("win_rate", "Win rate", "percent"),
        Figure("trades", "Trades", "count"),
        Figure("exposure", "Exposure", "percent"),
    )
}


def figure(name: str) -> Figure:
    """The figure of that name. Raises ConfigurationError that says which there are."""
    try:
        return FIGURES[name]
    except KeyError:
        hint = did_you_mean(name, FIGURES) or f"; there are {', '.join(FIGURES)}"
        raise ConfigurationError(f'there is no figure "{name}"{hint}') from None
