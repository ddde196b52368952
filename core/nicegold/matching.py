"""How orders meet the market: at what price, how much, and which of them first.

One set of rules, written for buys. A sell is a buy in a mirror, every price negated; a quote is a
bar whose four prices are one. Buys meet the ask (bid and spread), sells the bid. What happens
inside a bar is not known, so of the possible stories the worst for us is told: everything that
can fill at the open does, then stops, then limits. An order that begins to work inside a bar is
shown what may be left of it: all of its bad side, and of its good side only the close.
"""

from __future__ import annotations

from decimal import Decimal
from operator import attrgetter
from typing import Final

import msgspec

from nicegold.model import Bar, Instrument, Market, Order, OrderType, Side, TimeInForce
from nicegold.values import ZERO

#: When in a bar a price is met; orders are matched in this order.
AT_OPEN: Final = 0
ON_STOP: Final = 1
ON_LIMIT: Final = 2

# In Python 3.11 looking a member up in its enum is a function call.
_BUY: Final = Side.BUY
_MARKET: Final = OrderType.MARKET
_GTC: Final = TimeInForce.GTC
_IMMEDIATE: Final = (TimeInForce.IOC, TimeInForce.FOK)
_STOPS: Final = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
_INFINITY: Final = float("inf")
_NEVER_QUIET = (_INFINITY, -_INFINITY)


class Touch(msgspec.Struct, frozen=True, gc=False):
    """The prices that one side meets; for sells all of them negated, *high* the worst for us."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    def since(self, price: Decimal) -> Touch:
        """What may be left of the bar for an order that began to work inside it, at *price*."""
        return Touch(price, max(self.high, price), min(self.close, price), self.close)


class Match(msgspec.Struct, frozen=True, gc=False):
    """A price that the rules allow, as the side meets it, and the *phase* of the bar it is met in."""

    phase: int
    price: Decimal


def touch(market: Market, side: Side, instrument: Instrument) -> Touch:
    """The prices of *market* at the tick, as *side* meets them."""
    if not isinstance(market, Bar):
        met = met_at_open(market, side, instrument)
        return Touch(met, met, met, met)
    prices = (market.open, market.high, market.low, market.close)
    opened, high, low, close = [_met(price, market, side, instrument) for price in prices]
    return Touch(opened, high, low, close) if side is _BUY else Touch(opened, low, high, close)


def met_at_open(market: Market, side: Side, instrument: Instrument) -> Decimal:
    """The first of the prices of *market*, as *side* meets it: all that a market order asks for."""
    if isinstance(market, Bar):
        return _met(market.open, market, side, instrument)
    return instrument.to_price(market.ask) if side is _BUY else -instrument.to_price(market.bid)


def _met(price: float, bar: Bar, side: Side, instrument: Instrument) -> Decimal:
    """*price* of *bar* at the tick: put up by the spread for a buy, negated for a sell."""
    if side is not _BUY:
        return -instrument.to_price(price)
    spread = _exact(bar.spread) if bar.spread else instrument.spread
    return instrument.to_price(_exact(price) + spread if spread else price)


def match(order: Order, met: Touch, *, triggered: bool = False, best: Decimal | None = None) -> Match | None:
    """Where *order* fills on the prices *met*, if it does.

    A stop that is not yet *triggered* answers where it triggers; from then on it is a market
    order, a stop-limit a limit order. *best* is the best price that a trailing stop met on
    earlier bars (its lowest, in the mirror for a sell).
    """
    sign = order.side.sign
    match order.order_type:
        case OrderType.LIMIT:
            return _limit(sign * _needed(order.price), met)
        case OrderType.STOP_LIMIT if triggered:
            return _limit(sign * _needed(order.price), met)
        case OrderType.STOP | OrderType.STOP_LIMIT if not triggered:
            return _stop(sign * _needed(order.stop_price), met)
        case OrderType.TRAILING_STOP if not triggered:
            return _trailing_stop(_needed(order.trail), met, best)
        case _:
            return Match(AT_OPEN, met.open)


def _limit(limit: Decimal, met: Touch) -> Match | None:
    if met.open <= limit:
        return Match(AT_OPEN, met.open)
    return Match(ON_LIMIT, limit) if met.low <= limit else None


def _stop(stop: Decimal, met: Touch) -> Match | None:
    if met.open >= stop:
        return Match(AT_OPEN, met.open)
    return Match(ON_STOP, stop) if met.high >= stop else None


def _trailing_stop(trail: Decimal, met: Touch, best: Decimal | None) -> Match | None:
    reached = met.open if best is None else min(best, met.open)
    # From the best price of this bar to its close the market has surely gone through the level.
    followed = min(reached, met.low) + trail
    return _stop(reached + trail, met) or (Match(ON_STOP, followed) if met.close >= followed else None)


class Resting:
    """An order in a venue's book and how far it has come. Prices are in the mirror for a sell.

    *works_from* is when it reaches the venue, ns UTC.
    """

    def __init__(self, order: Order, instrument: Instrument, works_from: int) -> None:
        self.instrument = instrument
        self.works_from = works_from
        #: Lots that its parent has filled; None without a parent.
        self.backed: Decimal | None = None
        self.filled = ZERO
        #: Lots that orders of its oco group have filled in its place.
        self.taken = ZERO
        self.triggered = False
        #: What it met when it began to work inside the bar in hand.
        self.since: Decimal | None = None
        #: The best price that a trailing stop has met.
        self.best: Decimal | None = None
        #: The trading day that a DAY order ends with.
        self.day = 0
        self.amend(order)

    def amend(self, order: Order) -> None:
        """Work on with the terms of *order*."""
        self.order = order
        is_market = order.order_type is _MARKET
        is_tied = order.parent or order.oco or order.reduce_only
        self.is_plain = is_market and order.time_in_force is _GTC and not is_tied
        is_never_quiet = is_market or self.triggered
        self.quiet = _NEVER_QUIET if is_never_quiet else _quiet_zone(order, self.instrument.tick_size)

    @property
    def remaining(self) -> Decimal:
        """Lots that may fill now. A child may close what its parent filled and its siblings left."""
        size = self.order.quantity
        if self.backed is not None and self.backed < size:
            size = self.backed
        left = size - self.taken - self.filled
        return left if left > ZERO else ZERO

    @property
    def is_complete(self) -> bool:
        """Whether all that was ordered has filled."""
        return self.filled >= self.order.quantity

    @property
    def awaits_trigger(self) -> bool:
        """Whether it is a stop that has not been hit."""
        return self.order.order_type in _STOPS and not self.triggered

    @property
    def is_immediate(self) -> bool:
        """Whether it is cancelled when it cannot be filled on arrival."""
        return self.order.time_in_force in _IMMEDIATE

    def trigger(self, hit: Match) -> None:
        """Become a market order, or a limit order, from where *hit* says."""
        self.triggered, self.quiet = True, _NEVER_QUIET
        if hit.phase != AT_OPEN:
            self.since = hit.price


def _quiet_zone(order: Order, tick: Decimal) -> tuple[float, float]:
    """The prices between which *order* surely does nothing, with a tick to spare.

    Floats, since on most bars this is all that is asked. Empty where there is no such zone.
    """
    is_limit = order.order_type is OrderType.LIMIT
    level = order.price if is_limit else order.stop_price
    if level is None or order.time_in_force is not _GTC:
        return _NEVER_QUIET
    if is_limit is (order.side is _BUY):
        return float(level + tick), _INFINITY
    return -_INFINITY, float(level - tick)


class Meeting:
    """One bar or quote, as the orders in a book meet it.

    *share* is the part of a bar's volume, or of a quote's size, that each side may trade; None
    lets any quantity trade.
    """

    def __init__(self, market: Market, instrument: Instrument, share: Decimal | None) -> None:
        self.market = market
        #: When it began to form, ns UTC.
        self.start = market.start if isinstance(market, Bar) else market.time
        self._instrument = instrument
        self._share = share
        self._touches: dict[bool, Touch] = {}
        self._left: dict[bool, Decimal | None] = {}

    def disturbs(self, resting: Resting) -> bool:
        """Whether *resting* is not surely out of reach."""
        market, order = self.market, resting.order
        if order.symbol != market.symbol:
            return False
        low, high = resting.quiet
        if low == _INFINITY:
            return True
        buys = order.side is _BUY
        if isinstance(market, Bar):
            spread = (market.spread or float(self._instrument.spread)) if buys else 0.0
            return market.low + spread <= low or market.high + spread >= high
        price = market.ask if buys else market.bid
        return price <= low or price >= high

    def met(self, resting: Resting) -> Touch:
        """The prices that *resting* meets from when it works."""
        whole = self._touch(resting.order.side)
        return whole if resting.since is None else whole.since(resting.since)

    def match(self, resting: Resting) -> Match | None:
        """What happens to *resting* next, if anything: that it triggers, or that it fills."""
        if not resting.remaining:
            return None
        if self._share is not None and self.left(resting) == ZERO and not resting.awaits_trigger:
            return None
        order = resting.order
        if order.order_type is _MARKET and resting.since is None:
            return Match(AT_OPEN, met_at_open(self.market, order.side, self._instrument))
        hit = match(resting.order, self.met(resting), triggered=resting.triggered, best=resting.best)
        if hit is None or (self._only_at_open(resting) and not self.is_open(resting, hit)):
            return None
        return hit

    def is_open(self, resting: Resting, hit: Match) -> bool:
        """Whether *hit* is at the price that this market opens with."""
        return hit.phase == AT_OPEN and resting.since is None

    def time_of(self, resting: Resting, hit: Match) -> int:
        """When *hit* is known to have happened, ns UTC: at the open, or by the close."""
        return self.start if self.is_open(resting, hit) else self.market.time

    def back(self, child: Resting, parent: Resting, hit: Match, quantity: Decimal) -> None:
        """Wake *child*, or let it grow, because *hit* filled *quantity* lots of *parent*."""
        child.backed = (child.backed or ZERO) + quantity
        if child.order.symbol != parent.order.symbol:
            child.works_from = max(child.works_from, self.time_of(parent, hit))
        elif not self.is_open(parent, hit) and child.works_from <= self.start:
            child.since = self._met_by(child.order, parent.order, hit)

    def _met_by(self, child: Order, parent: Order, hit: Match) -> Decimal:
        """What *child* meets at the moment of *hit*, which *parent* met."""
        if child.side is parent.side:
            return hit.price
        spread = self._touch(Side.BUY).open + self._touch(Side.SELL).open
        return spread - hit.price

    def leave(self, resting: Resting) -> None:
        """The bar is over: a trailing stop remembers its best price."""
        if resting.order.order_type is OrderType.TRAILING_STOP:
            low = self.met(resting).low
            resting.best = low if resting.best is None else min(resting.best, low)
        resting.since = None

    def left(self, resting: Resting) -> Decimal | None:
        """Lots that the side of *resting* may still trade; None when that is not limited."""
        if self._share is None:
            return None
        buys = resting.order.side is _BUY
        if buys not in self._left:
            size = _size(self.market, buys)
            self._left[buys] = None if size is None else self._instrument.to_quantity(size * self._share)
        return self._left[buys]

    def take(self, resting: Resting, quantity: Decimal) -> None:
        """Leave *quantity* lots less to the orders that come after *resting*."""
        left = None if self._share is None else self.left(resting)
        if left is not None:
            self._left[resting.order.side is _BUY] = left - quantity

    def _touch(self, side: Side) -> Touch:
        buys = side is _BUY
        if buys not in self._touches:
            self._touches[buys] = touch(self.market, side, self._instrument)
        return self._touches[buys]

    def _only_at_open(self, resting: Resting) -> bool:
        """Immediate orders meet no more than the open, nor do orders that expire before the close."""
        return resting.is_immediate or 0 < resting.order.expires < self.market.time


class Book(dict[str, Resting]):
    """The orders at a venue by id, oldest first, and what they are to each other."""

    def first(self, meeting: Meeting) -> tuple[Resting, Match] | None:
        """The order that something happens to next; of several the one that came first."""
        first: tuple[Resting, Match] | None = None
        for resting in self.working(meeting):
            hit = meeting.match(resting)
            if hit is not None and (first is None or hit.phase < first[1].phase):
                first = resting, hit
        return first

    def working(self, meeting: Meeting) -> list[Resting]:
        """The orders that meet this market, in the order in which they reached the venue."""
        symbol, start = meeting.market.symbol, meeting.start
        working = [
            each
            for each in self.values()
            # It is at the venue, and awake.
            if each.works_from <= start
            and (each.backed is None or each.backed)
            and each.order.symbol == symbol
        ]
        if len(working) > 1:
            working.sort(key=attrgetter("works_from"))
        return working

    def fill(self, resting: Resting, quantity: Decimal, hit: Match, meeting: Meeting) -> None:
        """Count *quantity* lots as filled: children may close them, siblings may not fill them again."""
        resting.filled += quantity
        meeting.take(resting, quantity)
        if len(self) == 1:
            return
        for child in self.values():
            if child.order.parent == resting.order.id:
                meeting.back(child, resting, hit, quantity)
        for sibling in self.siblings(resting.order):
            sibling.taken += quantity

    def siblings(self, order: Order) -> list[Resting]:
        """The orders that *order* excludes."""
        if not order.oco:
            return []
        return [each for each in self.values() if each.order.oco == order.oco and each.order is not order]

    def spent(self) -> Resting | None:
        """An order that is filled, or else one that has nothing to fill and waits for nobody."""
        spent = None
        for each in self.values():
            if each.is_complete:
                return each
            if spent is None and not each.remaining and each.order.parent not in self:
                spent = each
        return spent


def _size(market: Market, buys: bool) -> Decimal | None:
    if isinstance(market, Bar):
        return _exact(market.volume)
    size = market.ask_size if buys else market.bid_size
    return _exact(size) if size else None


def _needed(price: Decimal | None) -> Decimal:
    if price is None:
        raise ValueError("the order has no price of the kind that its type needs")
    return price


def _exact(price: float) -> Decimal:
    return Decimal(repr(price))
