"""What trading cost beside its commission: the spread, and how far fills were from what was expected.

Two parts add up to how far a market order filled from the price that its strategy saw when it
decided, which is `portfolio.price` at the order's time: the close of the last bar, or the middle of
the last quote. This distance is the implementation shortfall of Perold, The Implementation
Shortfall: Paper versus Reality, Journal of Portfolio Management, 1988.

- *Spread*: from the price that a portfolio is valued at to the side that was traded, as last known
  at the fill. Bars have bid prices, so a buy pays the bar's whole spread (the instrument's where the
  bar has none) and a sell nothing; of quotes each side pays half. A round trip pays it once.
- *Slippage*: the rest. The market moved between decision and fill, and the venue filled worse.

An order that names its price expects that: a limit its limit, a stop its trigger, as they were
last replaced. Slippage is from there, negative when the fill was better. A trailing stop's level
moves with the market and is not on the journal, so its slippage is not measured.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from decimal import Decimal

import msgspec
import numpy as np

from nicegold import Bar, Fill, Instrument, Market, Order, OrderType, Side

#: Bars of the picture.
_BINS = 31


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What was paid, in account currency; negative was earned.

    *before* is what would have been gained without any of it, and *net* what was: the change in
    equity. *spread* and *slippage* are estimates. None means that the market was not read again.
    """

    commission: Decimal
    swap: Decimal
    spread: float | None
    slippage: float | None
    net: float

    @property
    def paid(self) -> float:
        """All of it."""
        known = (self.spread or 0.0) + (self.slippage or 0.0)
        return float(self.commission + self.swap) + known

    @property
    def before(self) -> float:
        return self.net + self.paid


class Slippage(msgspec.Struct, frozen=True, kw_only=True):
    """How much worse than expected one kind of orders filled; a negative figure is better.

    *mean*, *median*, *high* (95 % were at most this) and *worst* are in price a unit, *mean_bps* in
    hundredths of a percent of the expected price, *money* in account currency over all *fills*.
    Of *unmeasured* fills nobody knows what was expected.
    """

    symbol: str
    order_type: OrderType
    fills: int
    unmeasured: int
    mean: float
    median: float
    high: float
    worst: float
    mean_bps: float
    money: float


class Histogram(msgspec.Struct, frozen=True):
    """How many fills slipped between one of *edges* (basis points) and the next.

    What lies beyond the first or the last edge is counted at it.
    """

    edges: list[float]
    counts: list[int]


class _Kind:
    """The measured fills of one kind: slippage in price and as a part of what was expected."""

    def __init__(self) -> None:
        self.price = array("d")
        self.part = array("d")
        self.money = 0.0
        self.unmeasured = 0


class FillCosts:
    """Adds up spread and slippage, fill by fill, of *instruments*."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._seen: dict[str, float] = {}
        self._kinds: dict[tuple[str, OrderType], _Kind] = {}
        self.spread = 0.0
        self.slippage = 0.0

    def order(self, order: Order, price: float) -> None:
        """*order* was made when its strategy saw *price*, NaN for none."""
        if order.order_type is OrderType.MARKET:
            self._seen[order.id] = price

    def fill(self, fill: Fill, order: Order | None, market: Market | None) -> None:
        """*fill* of *order* in its last terms, None when unknown; *market* was the last seen of it."""
        instrument = self._instruments[fill.symbol]
        money = float(fill.quantity * instrument.lot_size * fill.rate)
        paid = spread_paid(fill.side, market, instrument)
        self.spread += paid * money
        kind = self._kinds.setdefault((fill.symbol, order.order_type if order else OrderType.MARKET), _Kind())
        expected = self._expected(fill, order, paid)
        if not expected > 0:  # NaN too
            kind.unmeasured += 1
            return
        slipped = (float(fill.price) - expected) * fill.side.sign
        kind.price.append(slipped)
        kind.part.append(slipped / expected)
        kind.money += slipped * money
        self.slippage += slipped * money

    def _expected(self, fill: Fill, order: Order | None, paid: float) -> float:
        """The price that whoever ordered could expect; NaN for none."""
        if order is None:
            return math.nan
        match order.order_type:
            case OrderType.MARKET:
                return self._seen.get(order.id, math.nan) + paid * fill.side.sign
            case OrderType.LIMIT:
                return float(order.price or math.nan)
            case OrderType.STOP | OrderType.STOP_LIMIT:
                return float(order.stop_price or math.nan)
            case OrderType.TRAILING_STOP:
                return math.nan

    @property
    def kinds(self) -> list[Slippage]:
        """By instrument and type of order."""
        return [_added_up(symbol, kind, found) for (symbol, kind), found in sorted(self._kinds.items())]

    @property
    def histogram(self) -> Histogram | None:
        """Over all measured fills; None without any."""
        parts = [np.frombuffer(kind.part) for kind in self._kinds.values() if kind.part]
        return _histogram(np.concatenate(parts) * 1e4) if parts else None


def spread_paid(side: Side, market: Market | None, instrument: Instrument) -> float:
    """From the price that positions are valued at to the one that *side* trades at, in price."""
    match market:
        case Bar() if side is Side.BUY:
            return market.spread or float(instrument.spread)
        case Bar() | None:
            return 0.0
        case _:
            return (market.ask - market.bid) / 2


def _added_up(symbol: str, order_type: OrderType, kind: _Kind) -> Slippage:
    prices = np.frombuffer(kind.price) if kind.price else np.zeros(1)
    median, high = np.quantile(prices, (0.5, 0.95))
    return Slippage(
        symbol=symbol,
        order_type=order_type,
        fills=len(kind.price),
        unmeasured=kind.unmeasured,
        mean=float(prices.mean()),
        median=float(median),
        high=float(high),
        worst=float(prices.max()),
        mean_bps=float(np.mean(np.frombuffer(kind.part))) * 1e4 if kind.part else 0.0,
        money=kind.money,
    )


def _histogram(basis_points: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Histogram:
    # Around nothing, so that a little that is always the same does not look like much.
    low, high = np.quantile(np.append(basis_points, 0.0), (0.01, 0.99))
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        low, high = -0.5, 0.5
    counts, edges = np.histogram(basis_points.clip(low, high), _BINS, (low, high))
    return Histogram(edges.tolist(), counts.tolist())
