"""At what price an order fills on a bar or a quote.

One set of rules, written for buys. A sell is a buy in a mirror, every price negated; a quote is a
bar whose four prices are one. Buys meet the ask (bid and spread), sells the bid. What happens
inside a bar is not known, so of the possible stories the worst for us is told: everything that
can fill at the open does, then stops, then limits.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from nicegold.model import Bar, Instrument, Market, Order, OrderType, Side

#: When in a bar a fill happens; orders are matched in this order.
AT_OPEN, ON_STOP, ON_LIMIT = range(3)


class Touch(msgspec.Struct, frozen=True):
    """The prices that one side meets; for sells all of them negated, *high* the worst for us."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


class Match(msgspec.Struct, frozen=True):
    """A fill that the rules allow: *price* as the side meets it, *phase* when in the bar.

    *price* is None for a stop-limit that is triggered and not filled. *slips* says whether
    slippage applies: a limit fills at its price or better, or not at all.
    """

    phase: int
    price: Decimal | None
    slips: bool


def touch(market: Market, side: Side, instrument: Instrument) -> Touch:
    """The prices of *market* at the tick, as *side* meets them."""
    at = instrument.to_price
    match market, side:
        case Bar(), Side.BUY:
            spread = Decimal(repr(market.spread)) if market.spread else instrument.spread
            return Touch(
                at(_exact(market.open) + spread),
                at(_exact(market.high) + spread),
                at(_exact(market.low) + spread),
                at(_exact(market.close) + spread),
            )
        case Bar(), _:
            return Touch(-at(market.open), -at(market.low), -at(market.high), -at(market.close))
        case _, Side.BUY:
            ask = at(market.ask)
            return Touch(ask, ask, ask, ask)
        case _:
            bid = -at(market.bid)
            return Touch(bid, bid, bid, bid)


def match(
    order: Order, met: Touch, *, inside: bool = False, triggered: bool = False, best: Decimal | None = None
) -> Match | None:
    """The fill that *order* gets from the prices *met*, if any.

    *inside* means that the order began to work inside this bar, so its open came before. *best* is
    the best price a trailing stop has met so far (its lowest, in the mirror for a sell).
    """
    sign = order.side.sign
    match order.order_type:
        case OrderType.MARKET:
            return Match(AT_OPEN, met.open, True)
        case OrderType.LIMIT:
            return _limit(sign * _needed(order.price), met, inside)
        case OrderType.STOP:
            return _stop(sign * _needed(order.stop_price), met, inside)
        case OrderType.STOP_LIMIT if triggered:
            return _limit(sign * _needed(order.price), met, inside)
        case OrderType.STOP_LIMIT:
            return _stop_limit(sign * _needed(order.stop_price), sign * _needed(order.price), met, inside)
        case OrderType.TRAILING_STOP:
            return _trailing_stop(_needed(order.trail), met, best, inside)


def _limit(limit: Decimal, met: Touch, inside: bool) -> Match | None:
    if inside:
        # Only the close is known to come after the order.
        return Match(ON_LIMIT, limit, False) if met.close <= limit else None
    if met.open <= limit:
        return Match(AT_OPEN, met.open, False)
    return Match(ON_LIMIT, limit, False) if met.low <= limit else None


def _stop(stop: Decimal, met: Touch, inside: bool) -> Match | None:
    if met.open >= stop and not inside:
        return Match(AT_OPEN, met.open, True)
    return Match(ON_STOP, stop, True) if met.high >= stop else None


def _stop_limit(stop: Decimal, limit: Decimal, met: Touch, inside: bool) -> Match | None:
    if met.open >= stop and not inside:
        return _limit(limit, met, inside=False) or Match(AT_OPEN, None, False)
    if met.high < stop:
        return None
    if limit >= stop:
        return Match(ON_STOP, stop, False)
    return _limit(limit, met, inside=True) or Match(ON_STOP, None, False)


def _trailing_stop(trail: Decimal, met: Touch, best: Decimal | None, inside: bool) -> Match | None:
    reached = met.open if best is None else min(best, met.open)
    found = _stop(reached + trail, met, inside)
    if found is not None:
        return found
    # From the best price of this bar to its close the market has surely gone through the level.
    level = min(reached, met.low) + trail
    return Match(ON_STOP, level, True) if met.close >= level and not inside else None


def _needed(price: Decimal | None) -> Decimal:
    if price is None:
        raise ValueError("the order has no price of the kind that its type needs")
    return price


def _exact(price: float) -> Decimal:
    return Decimal(repr(price))
