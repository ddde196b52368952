"""What the events of a run add up to, in one pass over them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from nicegold import (
    Account,
    Bar,
    Event,
    Fill,
    Halted,
    Market,
    Order,
    PluginFailed,
    Portfolio,
    Quote,
    Refused,
    Vetoed,
)
from nicegold.portfolio import NoRate
from nicegold_ops.config import Settings
from nicegold_ops.report.costs import FillCosts
from nicegold_ops.report.gaps import GapFinder, Gaps
from nicegold_ops.report.prices import MOST_CANDLES, Candle, Candles
from nicegold_ops.report.vetoes import Vetoes

#: Candles of all instruments together, unless each has the fewest.
_ALL_CANDLES = 4 * MOST_CANDLES
_FEWEST_CANDLES = 256
#: Kinds of failures that are told apart.
_FAILURES_KEPT = 100


class Failure(msgspec.Struct, frozen=True):
    """How often a *hook* of *plugin* failed, and the *error* that it made first."""

    plugin: str
    hook: str
    count: int
    error: str


class Reading:
    """One reading of *events*, with the market among them where it is known.

    It keeps a portfolio of its own, the same fold, so that each order is seen with the price that
    its strategy saw.
    """

    def __init__(self, settings: Settings, events: Iterable[Event]) -> None:
        self.orders = 0
        self.fills: list[Fill] = []
        self.vetoes = Vetoes()
        self.refused = 0
        self.halted = ""
        self.costs = FillCosts(settings.instruments)
        self._portfolio = Portfolio(Account(settings.run.cash, settings.run.currency), settings.instruments)
        self._failures: Counter[tuple[str, str]] = Counter()
        self._errors: dict[tuple[str, str], str] = {}
        self._last: dict[str, Market] = {}
        most = min(max(_ALL_CANDLES // len(settings.instruments), _FEWEST_CANDLES), MOST_CANDLES)
        self._candles = {symbol: Candles(most) for symbol in settings.instruments}
        self._gaps = {name: GapFinder(name, each.sessions) for name, each in settings.instruments.items()}
        self._digest = hashlib.sha256()
        self._encode = msgspec.json.Encoder().encode
        self._read(events)

    def _read(self, events: Iterable[Event]) -> None:
        readers: dict[type[Event], Callable[..., None]] = {
            Bar: self._bar,
            Quote: self._quote,
            Order: self._order,
            Fill: self._fill,
            Vetoed: self.vetoes.add,
            PluginFailed: self._failure,
            Refused: self._refusal,
            Halted: self._halt,
        }
        for event in events:
            readers.get(type(event), self._portfolio.apply)(event)

    @property
    def fingerprint(self) -> str:
        """A hash over the orders and fills."""
        return self._digest.hexdigest()

    @property
    def prices(self) -> dict[str, list[Candle]]:
        """Of each instrument that had any."""
        found = {symbol: each.candles for symbol, each in self._candles.items()}
        return {symbol: candles for symbol, candles in found.items() if candles}

    @property
    def gaps(self) -> list[Gaps]:
        """Of each instrument that had bars."""
        return [each.found for each in self._gaps.values() if each.found.bars]

    @property
    def failures(self) -> list[Failure]:
        """The most frequent first."""
        most = self._failures.most_common(_FAILURES_KEPT)
        return [Failure(*name, count, self._errors[name]) for name, count in most]

    # What may come.

    def _bar(self, bar: Bar) -> None:
        self._gaps[bar.symbol].add(bar)
        self._quote(bar)

    def _quote(self, market: Market) -> None:
        symbol = market.symbol
        self._portfolio.apply(market)
        self._last[symbol] = market
        if self._candles[symbol].add(market):
            self._hold(symbol)

    def _order(self, order: Order) -> None:
        self.orders += 1
        self._digest.update(self._encode(order))
        self.costs.order(order, self._portfolio.price(order.symbol))
        self._portfolio.apply(order)

    def _fill(self, fill: Fill) -> None:
        # Venues send a trade again after a reconnect; it is recorded again, but traded once.
        if self._portfolio.has_fill(fill):
            return
        self.fills.append(fill)
        self._digest.update(self._encode(fill))
        state = self._portfolio.order(fill.order_id)
        self.costs.fill(fill, state.order if state else None, self._last.get(fill.symbol))
        self._portfolio.apply(fill)
        if fill.symbol in self._last:
            self._hold(fill.symbol)

    def _failure(self, failed: PluginFailed) -> None:
        name = failed.plugin, failed.hook
        self._failures[name] += 1
        self._errors.setdefault(name, failed.error.removeprefix("failed: "))

    def _refusal(self, refused: Refused) -> None:
        self.refused += 1

    def _halt(self, halted: Halted) -> None:
        self.halted = f"{halted.plugin}: {halted.reason}"
        self._portfolio.apply(halted)

    def _hold(self, symbol: str) -> None:
        """Tell the candle what is held now, as a part of equity."""
        portfolio = self._portfolio
        quantity, instrument = portfolio.position(symbol).quantity, portfolio.instruments[symbol]
        try:
            rate = float(portfolio.rate(instrument.currency))
            equity = portfolio.equity
        except NoRate:
            self._candles[symbol].hold(0.0, 0.0)
            return
        value = float(quantity * instrument.lot_size) * portfolio.price(symbol) * rate
        self._candles[symbol].hold(value / equity if equity > 0 else 0.0, rate)
