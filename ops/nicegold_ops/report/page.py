"""The report: one HTML file that opens from a disk, without a network, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.report import formats
from nicegold_ops.report.figures import (
    costs_of,
    facts_of,
    headline_of,
    heat_of,
    most_that_mattered,
    statistics_groups,
    years_of,
)
from nicegold_ops.report.result import Result
from nicegold_ops.report.verdict import verdict_of

#: More trades than these are in the JSON only: a page of thousands opens on no phone.
_TRADES_SHOWN = 1000
#: More reasons of one veto are folded away.
_REASONS_SHOWN = 3
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SECOND = 1_000_000_000
_FORMATS = (
    formats.moment,
    formats.day,
    formats.money,
    formats.percent,
    formats.ratio,
    formats.price,
    formats.quantity,
    formats.microseconds,
    formats.count,
    formats.span,
    formats.sign_of,
)


def write_page(result: Result, path: Path) -> None:
    """Write the report of *result* to *path*.

    Raises ConfigurationError when bokeh, which draws the charts, is not installed.
    """
    path.write_text(page_of(result), encoding="utf-8")


def page_of(result: Result) -> str:
    """The report as HTML. Raises ConfigurationError as `write_page` does."""
    charts_of, drawn_instruments, library = _bokeh()
    payoffs = [trade.profit - trade.costs for trade in result.trades]
    shown = most_that_mattered(payoffs, _TRADES_SHOWN)
    # One point is no line.
    is_drawn = len(result.curve) > 1
    template = _environment().get_template("page.html")
    return template.render(
        result=result,
        title=", ".join(_symbols(result)),
        headline=headline_of(result),
        verdict=verdict_of(result),
        groups=statistics_groups(result),
        facts=facts_of(result),
        costs=costs_of(result),
        years=years_of(result.monthly),
        month_names=_MONTHS,
        trades=[(place + 1, result.trades[place], payoffs[place]) for place in shown],
        reasons_shown=_REASONS_SHOWN,
        drawn=drawn_instruments(result),
        chart=charts_of(result, shown) if is_drawn else None,
        library=library() if is_drawn else "",
    )


def refuse_without_bokeh() -> None:
    """Raise ConfigurationError when there is nothing to draw a report with: before a run, not after it."""
    _bokeh()


def _bokeh() -> tuple[Callable[..., Any], Callable[[Result], list[str]], Callable[[], str]]:
    try:
        from nicegold_ops.report.chart import charts_of, drawn_instruments, library
    except ImportError as error:
        raise ConfigurationError(
            f"a report needs bokeh for its charts ({error}); install nicegold[report], or leave --report out"
        ) from None
    return charts_of, drawn_instruments, library


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Bokeh's JSON refers back to what it has defined before, so its order must stay.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    environment.filters |= {each.__name__: each for each in _FORMATS}
    environment.filters["heat"] = heat_of
    environment.globals["second"] = _SECOND
    return environment


def _symbols(result: Result) -> list[str]:
    """What was traded; what could have been when nothing was."""
    traded = {*(each.symbol for each in result.positions), *(trade.symbol for trade in result.trades)}
    return [symbol for symbol in result.instruments if symbol in traded] or result.instruments
