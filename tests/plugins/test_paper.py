"""Every rule of the paper venue, with numbers that can be worked out by hand.

docs/paper.md is the table of these rules; each of its lines names its test.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from nicegold import (
    SECOND,
    Account,
    Bar,
    Cancel,
    Canceled,
    CancelRejected,
    Expired,
    Fill,
    Instrument,
    Market,
    Order,
    OrderType,
    Portfolio,
    Quote,
    Rejected,
    Replace,
    Replaced,
    Request,
    Sessions,
    Side,
    Swap,
    TimeInForce,
    Triggered,
    bracket,
    hookimpl,
    plugin,
)
from nicegold.testing import (
    ACCOUNT,
    GOLD,
    MINUTE,
    START,
    Recorder,
    bar,
    check_conformance,
    engine_with,
    quote,
)
from nicegold_plugins.brokers.paper import Paper

DOCS = Path(__file__).parents[2] / "docs" / "paper.md"
WITH_SPREAD = replace(GOLD, spread=Decimal("0.20"))
NEW_YORK = replace(GOLD, sessions=Sessions.parse("gold"))
HOUR = 60 * MINUTE


@plugin
class Script:
    """Asks for what was written down for the moment: the number of bars and quotes seen, from 0."""

    requests: dict[int, list[Request]]
    on_fills: dict[str, list[Request]]
    seen: int = -1

    @hookimpl
    def on_bar(self, bar: Bar) -> list[Request] | None:
        return self._next()

    @hookimpl
    def on_quote(self, quote: Quote) -> list[Request] | None:
        return self._next()

    @hookimpl
    def on_fill(self, fill: Fill) -> list[Request] | None:
        return self.on_fills.get(fill.order_id)

    def _next(self) -> list[Request] | None:
        self.seen += 1
        return self.requests.get(self.seen)


def trade(
    requests: dict[int, list[Request]],
    *markets: Market,
    instrument: Instrument = GOLD,
    account: Account = ACCOUNT,
    paper: Paper | None = None,
    on_fills: dict[str, list[Request]] | None = None,
    **settings: Any,
) -> Recorder:
    """What happened when the requests, by number of the bar they follow, met *markets*."""
    engine, seen = engine_with(
        instruments={instrument.symbol: instrument},
        account=account,
        script=Script(requests=requests, on_fills=on_fills or {}),
        paper=paper or Paper(**settings),
    )
    for market in markets:
        engine.handle(market)
    return seen


def ohlc(number: int, open_: float, high: float, low: float, close: float, **terms: Any) -> Bar:
    return bar(close, number=number, open=open_, high=high, low=low, **terms)


def flat(number: int, price: float = 2000.0, **terms: Any) -> Bar:
    return bar(price, number=number, **terms)


def at(text: str) -> int:
    """Nanoseconds since 1970 at *text*, UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def bar_at(text: str, price: float = 2000.0, length: int = MINUTE, **terms: Any) -> Bar:
    """A bar that begins at *text*, UTC."""
    return replace(bar(price, length=length, **terms), start=at(text), time=at(text) + length)


def ask(side: Side, quantity: str, **terms: Any) -> Order:
    """An order whose type follows from the prices it is given."""
    kinds = {
        (): OrderType.MARKET,
        ("price",): OrderType.LIMIT,
        ("stop_price",): OrderType.STOP,
        ("price", "stop_price"): OrderType.STOP_LIMIT,
        ("trail",): OrderType.TRAILING_STOP,
    }
    prices = {name: Decimal(terms.pop(name)) for name in ("price", "stop_price", "trail") if name in terms}
    return Order(
        symbol="XAUUSD",
        side=side,
        quantity=Decimal(quantity),
        order_type=kinds[tuple(prices)],
        **prices,
        **terms,
    )


def buy(quantity: str = "1", **terms: Any) -> Order:
    return ask(Side.BUY, quantity, **terms)


def sell(quantity: str = "1", **terms: Any) -> Order:
    return ask(Side.SELL, quantity, **terms)


def fills(seen: Recorder) -> list[tuple[str, str, str]]:
    """Order, lots and price of each fill, in order."""
    return [(fill.order_id, str(fill.quantity), f"{fill.price:.2f}") for fill in seen.of(Fill)]


def ends(seen: Recorder) -> list[tuple[str, str]]:
    """How orders ended without a fill: what happened, to which."""
    return [(type(each).__name__, each.order_id) for each in seen.events if isinstance(each, Canceled | Expired)]


def books(seen: Recorder, instrument: Instrument = GOLD) -> Portfolio:
    """What the events of *seen* fold to."""
    portfolio = Portfolio(ACCOUNT, {instrument.symbol: instrument})
    for event in seen.events:
        portfolio.apply(event)
    return portfolio


def test_paper_is_a_broker_like_any_other():
    check_conformance(Paper)


# Market orders.


def test_a_market_order_fills_at_the_open_of_the_next_bar():
    seen = trade({0: [buy()]}, flat(0), ohlc(1, 2003.0, 2010.0, 2001.0, 2009.0), flat(2, 2009.0))

    assert [("script-1", "1", "2003.00")] == fills(seen)
    assert [START + MINUTE] == [fill.time for fill in seen.of(Fill)]


def test_a_buy_pays_the_spread_of_the_bar():
    seen = trade({0: [buy()]}, flat(0), flat(1, 2003.0, spread=0.35), instrument=WITH_SPREAD)

    assert [("script-1", "1", "2003.35")] == fills(seen)


def test_a_buy_pays_the_spread_of_the_instrument_where_the_bar_has_none():
    seen = trade({0: [buy()]}, flat(0), flat(1, 2003.0), instrument=WITH_SPREAD)

    assert [("script-1", "1", "2003.20")] == fills(seen)


def test_a_sell_meets_the_bid():
    seen = trade({0: [sell()]}, flat(0), flat(1, 2003.0, spread=0.35), instrument=WITH_SPREAD)

    assert [("script-1", "1", "2003.00")] == fills(seen)


def test_on_quotes_a_buy_fills_at_the_ask_of_the_next_quote():
    seen = trade({0: [buy()]}, quote(2000.0, 2000.2), quote(2001.0, 2001.3, number=1))

    assert [("script-1", "1", "2001.30")] == fills(seen)


def test_on_quotes_a_sell_fills_at_the_bid_of_the_next_quote():
    seen = trade({0: [sell()]}, quote(2000.0, 2000.2), quote(2001.0, 2001.3, number=1))

    assert [("script-1", "1", "2001.00")] == fills(seen)


def test_an_order_never_meets_a_bar_that_began_before_it():
    """Another instrument's bar can be told later than the bar that made us ask, and have begun before."""
    silver = replace(GOLD, symbol="XAGUSD")
    script = Script(requests={0: [replace(buy(), symbol="XAGUSD")]}, on_fills={})
    engine, seen = engine_with(
        instruments={"XAUUSD": GOLD, "XAGUSD": silver}, script=script, paper=Paper()
    )

    engine.handle(flat(0))
    engine.handle(flat(0, 24.0, symbol="XAGUSD"))
    assert [] == fills(seen)

    engine.handle(flat(1, 25.0, symbol="XAGUSD"))
    assert [("script-1", "1", "25.00")] == fills(seen)


# Limits.


def test_a_limit_fills_at_its_price():
    seen = trade({0: [buy(price="1995")]}, flat(0), ohlc(1, 2000.0, 2001.0, 1994.0, 1999.0))

    assert [("script-1", "1", "1995.00")] == fills(seen)


def test_a_limit_that_is_gapped_over_fills_at_the_open():
    seen = trade(
        {0: [buy(price="1995"), sell(price="1985")]}, flat(0), ohlc(1, 1990.0, 1992.0, 1988.0, 1991.0)
    )

    assert [("script-1", "1", "1990.00"), ("script-2", "1", "1990.00")] == fills(seen)


def test_a_buy_limit_is_reached_by_the_ask_and_not_by_the_bid():
    just_missed, reached = ohlc(1, 2000.0, 2000.0, 1994.81, 2000.0), ohlc(2, 2000.0, 2000.0, 1994.8, 2000.0)

    seen = trade({0: [buy(price="1995")]}, flat(0), just_missed, instrument=WITH_SPREAD)
    assert [] == fills(seen)

    seen = trade({0: [buy(price="1995")]}, flat(0), just_missed, reached, instrument=WITH_SPREAD)
    assert [("script-1", "1", "1995.00")] == fills(seen)


def test_on_quotes_a_limit_fills_at_the_price_that_is_offered():
    seen = trade({0: [buy(price="2000")]}, quote(2000.0, 2000.2), quote(1999.5, 1999.7, number=1))

    assert [("script-1", "1", "1999.70")] == fills(seen)


# Stops.


def test_a_stop_fills_at_the_stop_and_the_slippage():
    seen = trade(
        {0: [sell(stop_price="1995"), buy(stop_price="2005")]},
        flat(0),
        ohlc(1, 2000.0, 2006.0, 1994.0, 2000.0),
        slippage=Decimal("0.15"),
    )

    assert [("script-1", "1", "1994.85"), ("script-2", "1", "2005.15")] == fills(seen)


def test_a_stop_that_is_gapped_over_fills_at_the_open_and_never_at_the_stop():
    seen = trade(
        {0: [sell(stop_price="1995")]},
        flat(0),
        ohlc(1, 1980.0, 1999.0, 1979.0, 1990.0),
        slippage=Decimal("0.15"),
    )

    assert [("script-1", "1", "1979.85")] == fills(seen)


def test_a_buy_stop_is_reached_by_the_ask():
    seen = trade(
        {0: [buy(stop_price="2005")]},
        flat(0),
        ohlc(1, 2000.0, 2004.8, 2000.0, 2000.0),
        instrument=WITH_SPREAD,
    )

    assert [("script-1", "1", "2005.00")] == fills(seen)


def test_on_quotes_a_stop_fills_at_the_price_beyond_it():
    seen = trade({0: [sell(stop_price="1999")]}, quote(2000.0, 2000.2), quote(1998.5, 1998.7, number=1))

    assert [("script-1", "1", "1998.50")] == fills(seen)


def test_a_stop_that_has_been_hit_fills_the_rest_at_the_next_open():
    """Three of ten lots trade at the stop; the market turns back, the order does not."""
    seen = trade(
        {0: [sell("10", stop_price="1995")]},
        flat(0),
        ohlc(1, 2000.0, 2000.0, 1994.0, 1999.0, volume=30.0),
        ohlc(2, 2001.0, 2003.0, 2000.0, 2002.0, volume=100.0),
        volume_share=Decimal("0.1"),
    )

    assert [("script-1", "3.0", "1995.00"), ("script-1", "7.0", "2001.00")] == fills(seen)


# Stop-limits.


def test_a_stop_limit_triggers_and_fills_at_the_stop_where_its_limit_allows():
    seen = trade(
        {0: [buy(price="2007", stop_price="2005")]}, flat(0), ohlc(1, 2000.0, 2010.0, 1999.0, 2009.0)
    )

    assert [("script-1", "1", "2005.00")] == fills(seen)
    assert ["Triggered", "Fill"] == seen.kinds[-2:]


def test_a_stop_limit_that_is_gapped_over_waits_at_its_limit():
    seen = trade(
        {0: [buy(price="2007", stop_price="2005")]},
        flat(0),
        ohlc(1, 2015.0, 2016.0, 2010.0, 2012.0),
        ohlc(2, 2012.0, 2012.0, 2006.0, 2008.0),
    )

    assert ["script-1"] == [event.order_id for event in seen.of(Triggered)]
    assert [("script-1", "1", "2007.00")] == fills(seen)
    assert [START + 3 * MINUTE] == [fill.time for fill in seen.of(Fill)]


def test_a_stop_limit_that_is_gapped_over_may_fill_later_in_the_bar():
    seen = trade(
        {0: [buy(price="2007", stop_price="2005")]}, flat(0), ohlc(1, 2015.0, 2016.0, 2006.0, 2012.0)
    )

    assert [("script-1", "1", "2007.00")] == fills(seen)


def test_a_stop_limit_triggered_inside_a_bar_fills_in_it_only_when_the_close_is_through_the_limit():
    """The low of 1990 may have come before the stop at 2005 was reached."""
    orders: list[Request] = [buy(price="1999", stop_price="2005")]

    uncertain = trade({0: orders}, flat(0), ohlc(1, 2000.0, 2006.0, 1990.0, 2001.0))
    certain = trade({0: orders}, flat(0), ohlc(1, 2000.0, 2006.0, 1990.0, 1998.0))

    assert [] == fills(uncertain)
    assert ["Accepted", "Bar", "Triggered"] == uncertain.kinds[-3:]
    assert [("script-1", "1", "1999.00")] == fills(certain)


def test_a_stop_limit_stays_triggered():
    seen = trade(
        {0: [buy(price="1999", stop_price="2005")]},
        flat(0),
        ohlc(1, 2000.0, 2006.0, 2000.0, 2001.0),
        ohlc(2, 2001.0, 2002.0, 1998.0, 2000.0),
    )

    assert [("script-1", "1", "1999.00")] == fills(seen)


# Trailing stops.


def test_a_trailing_stop_follows_the_best_price_of_earlier_bars():
    """From 2000 up to 2020: the stop 5 below goes from 1995 to 2015, where the third bar meets it."""
    seen = trade(
        {0: [sell(trail="5")]},
        flat(0),
        ohlc(1, 2000.0, 2020.0, 1999.0, 2019.0),
        ohlc(2, 2019.0, 2019.5, 2014.0, 2018.0),
    )

    assert [("script-1", "1", "2015.00")] == fills(seen)
    assert [START + 3 * MINUTE] == [fill.time for fill in seen.of(Fill)]


def test_a_trailing_stop_never_moves_away():
    seen = trade(
        {0: [sell(trail="5")]},
        flat(0),
        ohlc(1, 2000.0, 2010.0, 1999.0, 2009.0),
        ohlc(2, 2009.0, 2009.0, 2005.5, 2006.0),
        ohlc(3, 2006.0, 2006.0, 2004.0, 2005.5),
    )

    assert [("script-1", "1", "2005.00")] == fills(seen)


def test_a_trailing_stop_is_first_asked_at_the_level_from_before_the_bar():
    """The low is taken to come before the high: 1995 is sold at, not 2015."""
    seen = trade({0: [sell(trail="5")]}, flat(0), ohlc(1, 2000.0, 2020.0, 1994.0, 2019.0))

    assert [("script-1", "1", "1995.00")] == fills(seen)


def test_a_trailing_stop_is_hit_when_the_close_has_fallen_from_the_high_of_its_bar():
    """The high of 2020 is surely before the close of 2010, so the stop at 2015 lies between."""
    seen = trade({0: [sell(trail="5")]}, flat(0), ohlc(1, 2000.0, 2020.0, 1999.0, 2010.0))

    assert [("script-1", "1", "2015.00")] == fills(seen)


def test_a_trailing_stop_that_is_gapped_over_fills_at_the_open():
    seen = trade(
        {0: [sell(trail="5")]},
        flat(0),
        ohlc(1, 2000.0, 2020.0, 1999.0, 2019.0),
        ohlc(2, 2010.0, 2012.0, 2009.0, 2011.0),
    )

    assert [("script-1", "1", "2010.00")] == fills(seen)


def test_a_trailing_stop_woken_inside_a_bar_starts_from_the_price_it_woke_at():
    """The high of 2010 came before the entry at 1990, as far as we know: the stop is at 1985, not 2005."""
    orders: list[Request] = [
        buy(price="1990", id="entry"),
        sell(trail="5", parent="entry", reduce_only=True),
    ]

    seen = trade(
        {0: orders},
        flat(0),
        ohlc(1, 2005.0, 2010.0, 1989.0, 1991.0),
        ohlc(2, 1991.0, 1992.0, 1986.5, 1990.0),
        ohlc(3, 1990.0, 1990.0, 1980.0, 1981.0),
    )

    # Since it woke the best price that is certain is the close of 1991, then 1992: 1987 is met by 1986.50.
    assert [("script-1", "1", "1990.00"), ("script-2", "1", "1986.00")] == fills(seen)
