"""What a run came to, as one value: the JSON that `--json` writes and the report draws."""

from __future__ import annotations

import math
from collections.abc import Generator
from decimal import Decimal

import msgspec

from nicegold import Fill, Market, Portfolio, Source
from nicegold_ops.app import App
from nicegold_ops.curve import Point
from nicegold_ops.errors import NicegoldError
from nicegold_ops.journal import read
from nicegold_ops.report.benchmark import Benchmark, buy_and_hold
from nicegold_ops.report.costs import Costs, Histogram, Slippage
from nicegold_ops.report.gaps import Gaps
from nicegold_ops.report.market import with_market
from nicegold_ops.report.payoffs import payoffs_of
from nicegold_ops.report.prices import Candle
from nicegold_ops.report.reading import Failure, Reading
from nicegold_ops.report.returns import daily_returns, monthly_returns
from nicegold_ops.report.secrets import without_secrets
from nicegold_ops.report.significance import Significance, significance_of
from nicegold_ops.report.statistics import Statistics, statistics_of, traded_value
from nicegold_ops.report.trades import Trade, trades_of
from nicegold_ops.report.vetoes import Veto
from nicegold_ops.session import Outcome
from nicegold_ops.telemetry import HookSummary

#: The version of a result's form. It changes when an older reader would miss a field or misread it.
SCHEMA = 2


class OpenPosition(msgspec.Struct, frozen=True):
    """What was still held at the end: lots, what they cost, and the last price."""

    symbol: str
    quantity: Decimal
    average_price: Decimal
    price: float | None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the report says. Money is account currency, times are ns UTC.

    *schema* is the version of this form, which docs/report.md lists. *total_return*,
    *max_drawdown* and *exposure* are parts of one; a figure without meaning is None. *strategies*
    are the plugins that trade, by name with their class. *monthly* has the return of each month,
    such as "2024-03", from daily closes. *prices* are candles by instrument; without them,
    *unread* says why the market was not read again. *fingerprint* is a hash over the orders and
    fills: runs that traded the same have the same. *configuration* is TOML without its secrets.
    """

    schema: int = SCHEMA
    run: str
    mode: str
    ended: str
    version: str
    currency: str
    start: int
    end: int
    bars: int
    instruments: list[str]
    strategies: dict[str, str]
    sources: dict[str, Source]
    quality: dict[str, int]
    refused: int
    gaps: list[Gaps]
    orders: int
    fills: int
    trades: list[Trade]
    positions: list[OpenPosition]
    initial_cash: Decimal
    final_equity: float
    commission: Decimal
    swap: Decimal
    costs: Costs
    slippage: list[Slippage]
    slippage_histogram: Histogram | None
    total_return: float | None
    max_drawdown: float
    sharpe: float | None
    sortino: float | None
    profit_factor: float | None
    exposure: float
    statistics: Statistics
    significance: Significance
    benchmark: Benchmark | None
    vetoes: list[Veto]
    failures: list[Failure]
    halted: str
    hooks: list[HookSummary]
    fingerprint: str
    seconds: float
    bars_per_second: float
    configuration: str
    monthly: dict[str, float | None]
    curve: list[Point]
    prices: dict[str, list[Candle]]
    unread: str = ""


def result_of(app: App, outcome: Outcome, market: Generator[Market, None, None] | None = None) -> Result:
    """Read the run of *app* back from its journal and add it up.

    *market* is what its feeds have once more (see `market_again`), for a run whose journal has it by
    reference: without it there are no prices, and what fills cost beside commission is not known.
    """
    app.valuation.settle()
    reading, unread = _read(app, market)
    is_seen = not unread and (market is not None or not app.journal.by_reference)
    settings, portfolio, curve = app.settings, app.portfolio, app.curve
    cash = settings.run.cash
    trades = trades_of(reading.fills, settings.instruments)
    points, prices = curve.points, reading.prices
    statistics = statistics_of(
        float(cash),
        curve.closes,
        trades,
        max_drawdown=curve.max_drawdown,
        exposure=curve.exposure,
        traded=traded_value(reading.fills, settings.instruments),
    )
    return Result(
        run=app.run.run,
        mode=app.run.mode,
        ended=outcome.ended,
        version=app.started.version,
        currency=settings.run.currency,
        start=points[0].time if points else 0,
        end=portfolio.time,
        bars=outcome.events,
        instruments=list(settings.instruments),
        strategies=_strategies(app),
        sources=dict(app.sources),
        quality=dict(sorted(app.quarantine.counts.items())),
        refused=reading.refused,
        gaps=reading.gaps,
        orders=reading.orders,
        fills=len(reading.fills),
        trades=trades,
        positions=_open_positions(portfolio),
        initial_cash=cash,
        final_equity=portfolio.equity,
        commission=portfolio.commission,
        swap=portfolio.swap,
        costs=Costs(
            commission=portfolio.commission,
            swap=-portfolio.swap,
            spread=reading.costs.spread if is_seen else None,
            slippage=reading.costs.slippage if is_seen else None,
            net=portfolio.equity - float(cash),
        ),
        slippage=reading.costs.kinds if is_seen else [],
        slippage_histogram=reading.costs.histogram if is_seen else None,
        total_return=statistics.total_return,
        max_drawdown=curve.max_drawdown,
        sharpe=statistics.sharpe,
        sortino=statistics.sortino,
        profit_factor=statistics.profit_factor,
        exposure=curve.exposure,
        statistics=statistics,
        significance=significance_of(
            daily_returns(curve.daily_closes),
            payoffs_of(trades),
            statistics.years,
            settings.run.seed,
            days=statistics.days_a_year,
        ),
        benchmark=buy_and_hold(float(cash), _traded(prices, reading.fills)),
        vetoes=reading.vetoes.found,
        failures=reading.failures,
        halted=reading.halted,
        hooks=app.telemetry.summary(),
        fingerprint=reading.fingerprint,
        seconds=outcome.seconds,
        bars_per_second=outcome.events / outcome.seconds if outcome.seconds else 0.0,
        configuration=without_secrets(settings.text),
        monthly=monthly_returns(float(cash), curve.closes),
        curve=points,
        prices=prices,
        unread=unread,
    )


def _read(app: App, market: Generator[Market, None, None] | None) -> tuple[Reading, str]:
    """The events of the run, with the market if it can be had, and why not if it cannot."""
    events = read(app.store, app.run.run)
    if market is None or not app.journal.by_reference:
        return Reading(app.settings, events), ""
    try:
        return Reading(app.settings, with_market(events, market)), ""
    except NicegoldError as error:
        # What the run came to is known all the same.
        return Reading(app.settings, read(app.store, app.run.run)), str(error)
    finally:
        market.close()


def _strategies(app: App) -> dict[str, str]:
    kinds = {name for name, each in app.host.plugins.items() if each.kind == "strategy"}
    return {each.name: each.use for each in app.settings.plugins if each.name in kinds}


def _traded(prices: dict[str, list[Candle]], fills: list[Fill]) -> dict[str, list[Candle]]:
    """The prices of what was traded; all of them when nothing was."""
    symbols = {fill.symbol for fill in fills}
    return {symbol: candles for symbol, candles in prices.items() if symbol in symbols} or prices


def _open_positions(portfolio: Portfolio) -> list[OpenPosition]:
    return [
        OpenPosition(symbol, held.quantity, held.average_price, _known(portfolio.price(symbol)))
        for symbol, held in portfolio.positions.items()
        if held.quantity
    ]


def _known(price: float) -> float | None:
    return price if math.isfinite(price) else None
