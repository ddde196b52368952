"""What a run came to, as one value: the JSON that `--json` writes and the report draws."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from nicegold import Event, Fill, Halted, Objection, Order, PluginFailed, Portfolio, Vetoed
from nicegold_ops.app import App
from nicegold_ops.curve import Point
from nicegold_ops.journal import read
from nicegold_ops.report.statistics import (
    daily_returns,
    monthly_returns,
    profit_factor,
    sharpe,
    sortino,
    total_return,
)
from nicegold_ops.report.trades import Trade, trades_of
from nicegold_ops.session import Outcome
from nicegold_ops.telemetry import HookSummary

#: Vetoes of one plugin kept whole; more are only counted.
_VETOES_SHOWN = 100


class Veto(msgspec.Struct, frozen=True):
    """How often one check objected, and what it said at first."""

    plugin: str
    count: int
    reasons: list[str]


class OpenPosition(msgspec.Struct, frozen=True):
    """What was still held at the end: lots, what they cost, and the last price."""

    symbol: str
    quantity: Decimal
    average_price: Decimal
    price: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the report says. Money is account currency, times are ns UTC.

    *total_return*, *max_drawdown* and *exposure* are parts of one; a figure without meaning is None.
    *monthly* has the return of each month, such as "2024-03", from daily closes.
    *fingerprint* is a hash over the orders and fills: runs that traded the same have the same.
    """

    run: str
    mode: str
    ended: str
    version: str
    currency: str
    start: int
    end: int
    bars: int
    quality: dict[str, int]
    orders: int
    fills: int
    trades: list[Trade]
    positions: list[OpenPosition]
    initial_cash: Decimal
    final_equity: float
    commission: Decimal
    swap: Decimal
    total_return: float | None
    max_drawdown: float
    sharpe: float | None
    sortino: float | None
    profit_factor: float | None
    exposure: float
    vetoes: list[Veto]
    failures: dict[str, int]
    halted: str
    hooks: list[HookSummary]
    fingerprint: str
    seconds: float
    bars_per_second: float
    configuration: str
    monthly: dict[str, float | None]
    curve: list[Point]


class _Reading:
    """What the events of a run add up to, in one pass over them."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.fills: list[Fill] = []
        self._trades: set[tuple[str, str]] = set()
        self.orders = 0
        self.objections: list[Objection] = []
        self.failures: Counter[str] = Counter()
        self.halted = ""
        digest = hashlib.sha256()
        encode = msgspec.json.Encoder().encode
        for event in events:
            match event:
                case Order():
                    self.orders += 1
                    digest.update(encode(event))
                case Fill() if self._is_new(event):
                    self.fills.append(event)
                    digest.update(encode(event))
                case Vetoed():
                    self.objections += event.objections
                case PluginFailed():
                    self.failures[event.plugin] += 1
                case Halted():
                    self.halted = f"{event.plugin}: {event.reason}"
        self.fingerprint = digest.hexdigest()

    def _is_new(self, fill: Fill) -> bool:
        """Venues send a trade again after a reconnect; it is recorded again, but traded once."""
        trade = (fill.order_id, fill.trade_id)
        known = trade in self._trades
        self._trades.add(trade)
        return not known


def result_of(app: App, outcome: Outcome) -> Result:
    """Read the run of *app* back from its journal and add it up."""
    app.curve.settle()
    reading = _Reading(read(app.store, app.run.run))
    curve, cash = app.curve, app.settings.run.cash
    trades = trades_of(reading.fills, app.settings.instruments)
    returns = daily_returns(curve.daily_closes)
    points = curve.points
    return Result(
        run=app.run.run,
        mode=app.run.mode,
        ended=outcome.ended,
        version=app.started.version,
        currency=app.settings.run.currency,
        start=points[0].time if points else 0,
        end=app.portfolio.time,
        bars=outcome.events,
        quality=dict(sorted(app.quarantine.counts.items())),
        orders=reading.orders,
        fills=len(reading.fills),
        trades=trades,
        positions=_open_positions(app.portfolio),
        initial_cash=cash,
        final_equity=app.portfolio.equity,
        commission=app.portfolio.commission,
        swap=app.portfolio.swap,
        total_return=total_return(float(cash), app.portfolio.equity),
        max_drawdown=curve.max_drawdown,
        sharpe=sharpe(returns),
        sortino=sortino(returns),
        profit_factor=profit_factor([trade.profit - trade.costs for trade in trades]),
        exposure=curve.exposure,
        vetoes=_vetoes(reading.objections),
        failures=dict(reading.failures),
        halted=reading.halted,
        hooks=app.telemetry.summary(),
        fingerprint=reading.fingerprint,
        seconds=outcome.seconds,
        bars_per_second=outcome.events / outcome.seconds if outcome.seconds else 0.0,
        configuration=app.settings.text,
        monthly=monthly_returns(float(cash), curve.closes),
        curve=points,
    )


def _open_positions(portfolio: Portfolio) -> list[OpenPosition]:
    return [
        OpenPosition(symbol, held.quantity, held.average_price, portfolio.price(symbol))
        for symbol, held in portfolio.positions.items()
        if held.quantity
    ]


def _vetoes(objections: list[Objection]) -> list[Veto]:
    by_plugin: dict[str, list[str]] = {}
    for objection in objections:
        by_plugin.setdefault(objection.plugin, []).append(objection.reason)
    return [
        Veto(plugin, len(reasons), list(dict.fromkeys(reasons))[:_VETOES_SHOWN])
        for plugin, reasons in by_plugin.items()
    ]
