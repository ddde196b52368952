"""The report: one HTML file that opens from a disk, without a network, on a desk and on a phone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import jinja2
import msgspec

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.report.result import Result

#: More trades than these are in the JSON only: a page of thousands opens on no phone.
_TRADES_SHOWN = 200
#: More reasons of one veto are folded away.
_REASONS_SHOWN = 3
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NS = 1_000_000_000
_MINUS = "\N{MINUS SIGN}"

_Number: TypeAlias = float | Decimal | None


class Figure(msgspec.Struct, frozen=True):
    """A figure under its *label*; an empty *text* prints as a dash that says *why* there is none.

    *sign* is that of a gain or a loss, and 0 for what is neither.
    """

    label: str
    text: str
    why: str = ""
    sign: int = 0


class Year(msgspec.Struct, frozen=True):
    """The returns of a year's twelve months, and of what the run saw of the year."""

    year: str
    months: list[float | None]
    total: float | None


def write_page(result: Result, path: Path) -> None:
    """Write the report of *result* to *path*.

    Raises ConfigurationError when bokeh, which draws the charts, is not installed.
    """
    path.write_text(page_of(result), encoding="utf-8")


def page_of(result: Result) -> str:
    """The report as HTML. Raises ConfigurationError as `write_page` does."""
    chart_of, library = _bokeh()
    points = result.curve
    # One point is no line.
    drawn = chart_of(points, result.currency) if len(points) > 1 else None
    template = _environment().get_template("page.html")
    return template.render(
        result=result,
        title=_title(result),
        headline=_headline(result),
        figures=_figures(result),
        facts=_facts(result),
        costs=_costs(result),
        years=years_of(result.monthly) if len(result.monthly) > 1 else [],
        month_names=_MONTHS,
        traders=sorted({(trade.strategy, trade.symbol) for trade in result.trades}),
        trades_shown=_TRADES_SHOWN,
        reasons_shown=_REASONS_SHOWN,
        chart=drawn,
        library=library() if drawn else "",
    )


def _bokeh() -> tuple[Callable[..., Any], Callable[[], str]]:
    try:
        from nicegold_ops.report.chart import chart_of, library
    except ImportError as error:
        raise ConfigurationError(
            f"a report needs bokeh for its charts ({error}); install nicegold[report], or leave --report out"
        ) from None
    return chart_of, library


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    formats = (moment, money, percent, price, quantity, microseconds, count, sign_of)
    # Bokeh's JSON refers back to what it has defined before, so its order must stay.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    environment.filters |= {each.__name__: each for each in formats}
    return environment


# How numbers are printed. What has no meaning is an empty text, which the page shows as a dash.


def count(value: int) -> str:
    return f"{value:,}"


def money(value: _Number) -> str:
    """To the cent."""
    return _written(value, "z,.2f")


def ratio(value: _Number) -> str:
    return _written(value, "z,.2f")


def percent(value: _Number, form: str = "z,.2f") -> str:
    """A part of one, in percent."""
    text = _written(None if value is None else value * 100, form)
    return f"{text}%" if text else ""


def price(value: _Number) -> str:
    """As exact as it is, up to five places; at least two."""
    whole, _, places = _written(value, ".5f").partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}" if whole else ""


def quantity(value: Decimal) -> str:
    """Lots, as they were ordered."""
    return f"{value:f}".replace("-", _MINUS)


def microseconds(seconds: _Number) -> str:
    return _written(None if seconds is None else seconds * 10**6, ",.1f")


def moment(time: int) -> str:
    """A time (ns) in UTC, to the minute; to the second where that says more."""
    at = datetime.fromtimestamp(time // _NS, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}" if at.second else f"{at:%Y-%m-%d %H:%M}"


def sign_of(value: _Number) -> int:
    """1 for a gain, -1 for a loss, 0 for neither."""
    return 0 if value is None or value == 0 else 1 if value > 0 else -1


def _written(value: _Number, form: str) -> str:
    return "" if value is None or not math.isfinite(value) else format(value, form).replace("-", _MINUS)


# What the page says.


def _title(result: Result) -> str:
    held = [each.symbol for each in result.positions]
    symbols = sorted({*held, *(trade.symbol for trade in result.trades)})
    return ", ".join(symbols) or "nicegold"


def _headline(result: Result) -> list[Figure]:
    total, drawdown = result.total_return, result.max_drawdown
    gained = percent(total, "+z,.2f" if total else ",.2f")
    return [
        Figure(f"Final equity, {result.currency}", money(result.final_equity)),
        Figure("Return", gained, "the run began with no cash", sign_of(total)),
        Figure("Max drawdown", percent(-drawdown), sign=sign_of(-drawdown)),
        Figure("Sharpe", ratio(result.sharpe), "it needs returns of two days or more that differ"),
        Figure("Trades", count(len(result.trades))),
    ]


def _figures(result: Result) -> list[Figure]:
    net = [trade.profit - trade.costs for trade in result.trades]
    no_trades = "" if net else "no trade was closed"
    average = sum(net, Decimal(0)) / len(net) if net else None
    won = sum(each > 0 for each in net) / len(net) if net else None
    return [
        Figure("Sortino", ratio(result.sortino), "no day lost" if result.bars else "no day was seen"),
        Figure("Profit factor", ratio(result.profit_factor), no_trades or "no trade lost"),
        Figure("Winning trades", percent(won), no_trades),
        Figure("Time in market", percent(result.exposure)),
        Figure("Initial cash", money(result.initial_cash)),
        Figure("Net profit", money(result.final_equity - float(result.initial_cash))),
        Figure("Costs", money(result.swap - result.commission)),
        Figure("Average trade", money(average), no_trades),
        Figure("Best trade", money(max(net, default=None)), no_trades),
        Figure("Worst trade", money(min(net, default=None)), no_trades),
    ]


def _facts(result: Result) -> list[Figure]:
    return [
        Figure("Bars and quotes", count(result.bars)),
        Figure("Orders", count(result.orders)),
        Figure("Fills", count(result.fills)),
        Figure("Ended because", result.ended, "not recorded"),
        Figure("Seconds", ratio(result.seconds or None), "not measured"),
        Figure("Bars and quotes a second", _written(result.bars_per_second or None, ",.0f"), "not measured"),
    ]


def _costs(result: Result) -> list[Figure]:
    """What costs did to the cash, so what was paid is negative."""
    together = result.swap - result.commission
    cash = result.initial_cash
    part = together / cash if cash else None
    return [
        Figure("Commission", money(-result.commission)),
        Figure("Swap", money(result.swap)),
        Figure("Together", money(together)),
        Figure("Of the initial cash", percent(part), "the run began with no cash"),
    ]


def years_of(monthly: dict[str, float | None]) -> list[Year]:
    """The rows of the table of monthly returns; a month that the run did not see is None."""
    return [
        Year(
            year,
            [monthly.get(f"{year}-{month:02}") for month in range(1, 13)],
            _compounded([monthly[month] for month in months]),
        )
        for year, months in groupby(sorted(monthly), key=lambda month: month[:4])
    ]


def _compounded(returns: Sequence[float | None]) -> float | None:
    known = [1.0 + each for each in returns if each is not None]
    return math.prod(known) - 1.0 if len(known) == len(returns) else None
