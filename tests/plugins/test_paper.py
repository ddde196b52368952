"""Every rule of the paper venue, with numbers that can be worked out by hand.

docs/paper.md is the table of these rules; each of its lines names its test.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping, Sequence
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
from tests.plugins.script import Script

DOCS = Path(__file__).parents[2] / "docs" / "paper.md"
WITH_SPREAD = replace(GOLD, spread=Decimal("0.20"))
NEW_YORK = replace(GOLD, sessions=Sessions.parse("gold"))
HOUR = 60 * MINUTE


def trade(
    requests: Mapping[int, Sequence[Request]],
    *markets: Market,
    instrument: Instrument = GOLD,
    account: Account = ACCOUNT,
    paper: Paper | None = None,
    on_fills: Mapping[str, Sequence[Request]] | None = None,
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
    prices: dict[str, Any] = {
        name: Decimal(terms.pop(name)) for name in ("price", "stop_price", "trail") if name in terms
    }
    kind = kinds[tuple(prices)]
    return Order(symbol="XAUUSD", side=side, quantity=Decimal(quantity), order_type=kind, **prices, **terms)


def buy(quantity: str = "1", **terms: Any) -> Order:
    return ask(Side.BUY, quantity, **terms)


def sell(quantity: str = "1", **terms: Any) -> Order:
    return ask(Side.SELL, quantity, **terms)


def fills(seen: Recorder) -> list[tuple[str, str, str]]:
    """Order, lots and price of each fill, in order."""
    return [(each.order_id, f"{each.quantity.normalize():f}", f"{each.price:.2f}") for each in seen.of(Fill)]


def ends(seen: Recorder) -> list[tuple[str, str]]:
    """How orders ended without a fill: what happened, to which."""
    return [
        (type(each).__name__, each.order_id) for each in seen.events if isinstance(each, Canceled | Expired)
    ]


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
    engine, seen = engine_with(instruments={"XAUUSD": GOLD, "XAGUSD": silver}, script=script, paper=Paper())

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

    assert [("script-1", "3", "1995.00"), ("script-1", "7", "2001.00")] == fills(seen)


def test_a_stop_that_is_hit_when_nothing_is_left_to_trade_fills_at_the_next_open():
    """The older order takes the whole volume; the market turns back, the stop does not."""
    seen = trade(
        {0: [sell("4"), sell("1", stop_price="1995")]},
        flat(0),
        ohlc(1, 2000.0, 2000.0, 1994.0, 1999.0, volume=4.0),
        ohlc(2, 2001.0, 2003.0, 2000.0, 2002.0, volume=4.0),
        volume_share=Decimal(1),
    )

    assert [("script-1", "4", "2000.00"), ("script-2", "1", "2001.00")] == fills(seen)


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
    orders = [buy(price="1999", stop_price="2005")]

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
    """The high of 2010 came before the entry at 1990, for all we know: no stop at 2005."""
    orders = [
        buy(price="1990", id="entry"),
        sell(trail="5", parent="entry", reduce_only=True),
    ]

    seen = trade(
        {0: orders},
        flat(0),
        ohlc(1, 2005.0, 2010.0, 1989.0, 1991.0),
        ohlc(2, 1991.0, 1991.0, 1986.5, 1988.0),
        ohlc(3, 1988.0, 1988.0, 1980.0, 1981.0),
    )

    # The best price that it has surely met is the close of 1991.
    assert [("script-1", "1", "1990.00"), ("script-2", "1", "1986.00")] == fills(seen)


def test_a_trailing_stop_follows_nothing_while_it_sleeps():
    """The market saw 2010 before the entry at 1990: the stop is at 1985, not 2005."""
    orders = [buy(price="1990", id="entry"), sell(trail="5", parent="entry", reduce_only=True)]

    seen = trade(
        {0: orders},
        flat(0),
        ohlc(1, 2000.0, 2010.0, 2000.0, 2000.0),
        ohlc(2, 1990.0, 1990.0, 1986.0, 1987.0),
        ohlc(3, 1987.0, 1987.0, 1980.0, 1981.0),
    )

    assert [("script-1", "1", "1990.00"), ("script-2", "1", "1985.00")] == fills(seen)


# Brackets.

LONG = bracket(buy(), stop_loss=Decimal(1990), take_profit=Decimal(2010))
AT_1995 = bracket(buy(price="1995"), stop_loss=Decimal(1990), take_profit=Decimal(2010))


def test_exits_sleep_until_the_entry_fills():
    """Both 1990 and 2010 are met while the entry waits at 1985."""
    waiting = bracket(buy(price="1985"), stop_loss=Decimal(1980), take_profit=Decimal(2010))

    seen = trade({0: waiting}, flat(0), ohlc(1, 2000.0, 2015.0, 1986.0, 2000.0))

    assert [] == fills(seen)
    assert ["script-1", "script-2", "script-3"] == [each.order.id for each in books(seen).working()]


def test_the_target_of_a_bracket_cancels_its_stop():
    seen = trade({0: LONG}, flat(0), ohlc(1, 2000.0, 2011.0, 1995.0, 2005.0))

    assert [("script-1", "1", "2000.00"), ("script-3", "1", "2010.00")] == fills(seen)
    assert [("Canceled", "script-2")] == ends(seen)
    assert ["script-3 filled"] == [event.reason for event in seen.of(Canceled)]


def test_the_stop_of_a_bracket_cancels_its_target():
    seen = trade({0: LONG}, flat(0), flat(1), ohlc(2, 2000.0, 2000.0, 1985.0, 1986.0))

    assert [("script-1", "1", "2000.00"), ("script-2", "1", "1990.00")] == fills(seen)
    assert [("Canceled", "script-3")] == ends(seen)


def test_the_stop_is_taken_when_stop_and_target_lie_within_one_bar():
    seen = trade({0: LONG}, flat(0), flat(1), ohlc(2, 2000.0, 2015.0, 1985.0, 2000.0))

    assert ("script-2", "1", "1990.00") == fills(seen)[-1]


def test_the_target_is_taken_when_the_bar_opens_beyond_it_whatever_comes_later():
    seen = trade({0: LONG}, flat(0), flat(1), ohlc(2, 2012.0, 2015.0, 1985.0, 2000.0))

    assert ("script-3", "1", "2012.00") == fills(seen)[-1]


def test_the_stop_may_be_hit_in_the_bar_that_filled_the_entry():
    seen = trade({0: AT_1995}, flat(0), ohlc(1, 2000.0, 2001.0, 1989.0, 2000.0))

    assert [("script-1", "1", "1995.00"), ("script-2", "1", "1990.00")] == fills(seen)


def test_the_target_is_hit_in_the_bar_that_filled_the_entry_only_when_the_close_reaches_it():
    """The high of 2012 may have come before the entry at 1995; the close of 2011 came after."""
    uncertain = trade({0: AT_1995}, flat(0), ohlc(1, 2000.0, 2012.0, 1994.0, 2005.0))
    certain = trade({0: AT_1995}, flat(0), ohlc(1, 2000.0, 2012.0, 1994.0, 2011.0))

    assert [("script-1", "1", "1995.00")] == fills(uncertain)
    assert [("script-1", "1", "1995.00"), ("script-3", "1", "2010.00")] == fills(certain)


def test_a_stop_that_is_already_beyond_when_it_wakes_fills_at_the_price_of_that_moment():
    """Bought at the ask of 1995: the bid is 1994.80, and nobody pays the 1997 of the stop."""
    orders = [
        buy(price="1995", id="entry"),
        sell(stop_price="1997", parent="entry", reduce_only=True),
    ]

    seen = trade({0: orders}, flat(0), ohlc(1, 2000.0, 2001.0, 1994.0, 2000.0), instrument=WITH_SPREAD)

    assert [("script-1", "1", "1995.00"), ("script-2", "1", "1994.80")] == fills(seen)


def test_a_market_exit_fills_when_its_entry_does():
    """Never at the open, which was before."""
    orders = [buy(price="1995", id="entry"), sell(parent="entry")]

    seen = trade({0: orders}, flat(0), ohlc(1, 2000.0, 2001.0, 1994.0, 2000.0))

    assert [("script-1", "1", "1995.00"), ("script-2", "1", "1995.00")] == fills(seen)


def test_an_order_on_the_side_of_its_parent_wakes_at_the_price_that_filled_it():
    orders = [buy(price="1995", id="entry"), buy("2", parent="entry")]

    seen = trade({0: orders}, flat(0), ohlc(1, 2000.0, 2001.0, 1994.0, 2000.0), instrument=WITH_SPREAD)

    assert [("script-1", "1", "1995.00"), ("script-2", "1", "1995.00")] == fills(seen)


def test_an_exit_in_another_instrument_meets_no_bar_from_before_its_entry():
    """Both bars run from 00:01 to 00:02; inside the first the entry fills, so the second is too old."""
    silver = replace(GOLD, symbol="XAGUSD")
    hedge = replace(sell(parent="entry"), symbol="XAGUSD")
    script = Script(requests={0: [buy(price="1995", id="entry"), hedge]}, on_fills={})
    engine, seen = engine_with(instruments={"XAUUSD": GOLD, "XAGUSD": silver}, script=script, paper=Paper())

    for number, gold, price in ((0, 2000.0, 24.0), (1, 1994.0, 25.0), (2, 1994.0, 26.0)):
        engine.handle(ohlc(number, 2000.0, 2000.0, gold, 2000.0))
        engine.handle(flat(number, price, symbol="XAGUSD"))

    assert [("script-1", "1", "1995.00"), ("script-2", "1", "26.00")] == fills(seen)


def test_exits_are_as_large_as_what_the_entry_filled():
    """Four of ten lots are bought, then six; the stop closes what there is."""
    entry = bracket(buy("10", price="1995"), stop_loss=Decimal(1990), take_profit=Decimal(2010))

    seen = trade(
        {0: entry},
        flat(0),
        ohlc(1, 1995.0, 1996.0, 1994.0, 1996.0, volume=4.0),
        ohlc(2, 1996.0, 1996.0, 1989.0, 1989.0, volume=100.0),
        volume_share=Decimal(1),
    )

    # The stop is hit with four lots, before the six more that the limit buys on the way down.
    assert [
        ("script-1", "4", "1995.00"),
        ("script-2", "4", "1990.00"),
        ("script-1", "6", "1995.00"),
        ("script-2", "6", "1995.00"),
    ] == fills(seen)
    assert [("Canceled", "script-3")] == ends(seen)


def test_an_exit_that_has_closed_all_there_is_waits_for_the_rest_of_the_entry():
    """The target sells the first four lots; the stop still guards the six that come later."""
    entry = bracket(buy("10", price="1995"), stop_loss=Decimal(1990), take_profit=Decimal(2010))

    seen = trade(
        {0: entry},
        flat(0),
        ohlc(1, 1995.0, 1996.0, 1994.0, 1996.0, volume=4.0),
        ohlc(2, 2000.0, 2011.0, 1996.0, 2000.0, volume=100.0),
        ohlc(3, 2000.0, 2000.0, 1994.0, 1996.0, volume=100.0),
        ohlc(4, 1996.0, 1996.0, 1985.0, 1986.0, volume=100.0),
        volume_share=Decimal(1),
    )

    assert [
        ("script-1", "4", "1995.00"),
        ("script-3", "4", "2010.00"),
        ("script-1", "6", "1995.00"),
        ("script-2", "6", "1990.00"),
    ] == fills(seen)
    assert [] == books(seen).working()


def test_exits_never_fill_more_than_they_ask():
    """A stop for five lots under an entry of ten closes five."""
    orders = [
        buy("10", price="1995", id="entry"),
        sell("5", stop_price="1990", parent="entry", reduce_only=True),
    ]

    seen = trade(
        {0: orders},
        flat(0),
        ohlc(1, 1995.0, 1995.0, 1989.0, 1989.0, volume=4.0),
        ohlc(2, 1989.0, 1989.0, 1985.0, 1989.0, volume=100.0),
        volume_share=Decimal(1),
    )

    closed = sum(fill.quantity for fill in seen.of(Fill) if fill.order_id == "script-2")
    assert Decimal(5) == closed
    assert [] == books(seen).working()


def test_exits_of_an_entry_that_never_filled_are_cancelled_with_it():
    seen = trade({0: AT_1995, 1: [Cancel(order_id="script-1")]}, flat(0), flat(1), flat(2))

    assert [("Canceled", f"script-{number}") for number in (1, 2, 3)] == ends(seen)
    assert [] == books(seen).working()


@pytest.mark.parametrize(
    "terms",
    [
        {"time_in_force": TimeInForce.IOC},
        {"time_in_force": TimeInForce.FOK},
        {"time_in_force": TimeInForce.GTD, "expires": START + 2 * MINUTE},
        {"time_in_force": TimeInForce.DAY},
    ],
)
def test_exits_of_an_entry_that_ran_out_of_time_are_cancelled(terms: dict[str, Any]):
    entry = bracket(buy(price="1995", **terms), stop_loss=Decimal(1990), take_profit=Decimal(2010))

    seen = trade({0: entry}, flat(0), flat(1), flat(2), flat(24 * 60))

    assert ["script-1", "script-2", "script-3"] == [order_id for _, order_id in ends(seen)]
    assert [] == books(seen).working()


def test_exits_of_an_entry_that_is_cancelled_halfway_close_what_it_filled():
    """Four of ten lots are bought: the stop sells four, and its other six end with it."""
    entry = bracket(buy("10", price="1995"), stop_loss=Decimal(1990), take_profit=Decimal(2010))

    seen = trade(
        {0: entry, 1: [Cancel(order_id="script-1")]},
        flat(0),
        ohlc(1, 1995.0, 1996.0, 1994.0, 1996.0, volume=4.0),
        ohlc(2, 1996.0, 1996.0, 1985.0, 1986.0, volume=100.0),
        volume_share=Decimal(1),
    )

    assert [("script-1", "4", "1995.00"), ("script-2", "4", "1990.00")] == fills(seen)
    assert [("Canceled", "script-1"), ("Canceled", "script-2"), ("Canceled", "script-3")] == ends(seen)
    assert [] == books(seen).working()


def test_an_exit_that_arrives_after_its_entry_filled_inside_the_bar_waits_for_the_next():
    """It reaches the venue at 00:02:30, and the bar that fills the entry and goes to 1989 began before."""
    late = [sell(stop_price="1990", parent="script-1", reduce_only=True)]

    seen = trade(
        {0: [buy(price="1995")], 1: late},
        flat(0),
        flat(1),
        ohlc(2, 2000.0, 2000.0, 1989.0, 1992.0),
        ohlc(3, 1989.0, 1992.0, 1988.0, 1990.0),
        latency_ms=30_000,
    )

    assert [("script-1", "1", "1995.00"), ("script-2", "1", "1989.00")] == fills(seen)


def test_an_order_whose_parent_is_already_filled_is_rejected():
    """Both entries fill on one bar; the first fill asks for an exit of the second, not yet told."""
    seen = trade(
        {0: [buy(), buy()]},
        flat(0),
        flat(1),
        on_fills={"script-1": [sell(stop_price="1990", parent="script-2", reduce_only=True)]},
    )

    assert ["its parent script-2 is not working"] == [each.reason for each in seen.of(Rejected)]


# One cancels the other.


def test_of_two_orders_that_exclude_each_other_one_fills():
    breakout = [buy(stop_price="2005", oco="out"), sell(stop_price="1995", oco="out")]

    seen = trade({0: breakout}, flat(0), ohlc(1, 2000.0, 2006.0, 1999.0, 2006.0), flat(2, 1990.0))

    assert [("script-1", "1", "2005.00")] == fills(seen)
    assert [("Canceled", "script-2")] == ends(seen)


def test_a_partial_fill_reduces_the_orders_that_it_excludes():
    """The target sells three of ten lots, so the stop sells seven, and both are done."""
    exits = [
        sell("10", price="2010", oco="exit"),
        sell("10", stop_price="1990", oco="exit"),
    ]

    seen = trade(
        {0: exits},
        flat(0),
        ohlc(1, 2000.0, 2011.0, 2000.0, 2005.0, volume=3.0),
        ohlc(2, 2000.0, 2000.0, 1989.0, 1990.0, volume=100.0),
        volume_share=Decimal(1),
    )

    assert [("script-1", "3", "2010.00"), ("script-2", "7", "1990.00")] == fills(seen)
    assert {("Canceled", "script-1"), ("Canceled", "script-2")} == set(ends(seen))
    assert [] == books(seen).working()


def test_an_order_that_is_amended_to_what_it_has_filled_is_done_and_excludes_the_other():
    exits = [sell("10", price="2010", oco="exit"), sell("10", stop_price="1990", oco="exit")]
    amend = [Replace(order_id="script-1", quantity=Decimal(3))]

    seen = trade(
        {0: exits, 1: amend},
        flat(0),
        ohlc(1, 2000.0, 2011.0, 2000.0, 2005.0, volume=3.0),
        flat(2, volume=100.0),
        volume_share=Decimal(1),
    )

    assert [("Canceled", "script-2")] == ends(seen)
    assert [] == books(seen).working()


# Time in force.


def test_a_gtc_order_works_until_it_fills():
    seen = trade(
        {0: [buy(price="1995")]},
        bar_at("2026-01-05T12:00"),
        bar_at("2026-01-06T12:00"),
        bar_at("2026-02-02T12:00", 1995.0),
        instrument=NEW_YORK,
    )

    assert [("script-1", "1", "1995.00")] == fills(seen)


def test_a_day_order_ends_with_the_trading_day_of_its_instrument():
    """Gold's day ends at 17:00 in New York, 22:00 UTC in winter; midnight is nothing to it."""
    order = buy(price="1995", time_in_force=TimeInForce.DAY)

    seen = trade(
        {0: [order]},
        bar_at("2026-01-05T23:50"),
        bar_at("2026-01-06T12:00"),
        bar_at("2026-01-06T21:59"),
        bar_at("2026-01-06T23:00", 1990.0),
        instrument=NEW_YORK,
    )

    assert [("Expired", "script-1")] == ends(seen)
    assert [at("2026-01-06T22:00")] == [event.time for event in seen.of(Expired)]
    assert [] == fills(seen)


def test_a_day_order_that_is_asked_for_while_the_market_is_closed_works_on_the_next_day():
    """Friday's last bar ends at 22:00 UTC, as trading does; Sunday's evening belongs to Monday."""
    order = buy(price="1995", time_in_force=TimeInForce.DAY)

    seen = trade(
        {0: [order]},
        bar_at("2026-01-09T21:59"),
        bar_at("2026-01-11T23:00"),
        bar_at("2026-01-12T21:58", 1994.0),
        instrument=NEW_YORK,
    )

    assert [("script-1", "1", "1994.00")] == fills(seen)


def test_an_immediate_order_takes_what_there_is_and_cancels_the_rest():
    seen = trade(
        {0: [buy("10", time_in_force=TimeInForce.IOC)]},
        flat(0),
        flat(1, volume=4.0),
        flat(2, volume=100.0),
        volume_share=Decimal(1),
    )

    assert [("script-1", "4", "2000.00")] == fills(seen)
    assert [("Canceled", "script-1")] == ends(seen)


def test_an_immediate_limit_meets_the_open_and_no_more():
    """The bar goes through 1995 later, but immediate is now."""
    seen = trade(
        {0: [buy(price="1995", time_in_force=TimeInForce.IOC)]},
        flat(0),
        ohlc(1, 2000.0, 2000.0, 1990.0, 1991.0),
    )

    assert [] == fills(seen)
    assert [("Canceled", "script-1")] == ends(seen)


def test_a_fill_or_kill_order_fills_whole_or_not_at_all():
    orders = [
        buy("5", time_in_force=TimeInForce.FOK),
        buy("4", time_in_force=TimeInForce.FOK),
    ]

    seen = trade({0: orders}, flat(0), flat(1, volume=4.0), volume_share=Decimal(1))

    assert [("script-2", "4", "2000.00")] == fills(seen)
    assert [("Canceled", "script-1")] == ends(seen)
    assert ["only 4.00 can be filled at once"] == [event.reason for event in seen.of(Canceled)]


def test_an_order_good_till_a_date_expires_then():
    order = buy(price="1995", time_in_force=TimeInForce.GTD, expires=START + 3 * MINUTE)

    seen = trade({0: [order]}, flat(0), flat(1), flat(2), flat(3, 1990.0))

    assert [] == fills(seen)
    assert [("Expired", "script-1")] == ends(seen)
    assert [START + 3 * MINUTE] == [event.time for event in seen.of(Expired)]


def test_an_order_that_expired_while_there_were_no_bars_does_not_fill():
    order = buy(price="1995", time_in_force=TimeInForce.GTD, expires=START + 2 * MINUTE)

    seen = trade({0: [order]}, flat(0), flat(5, 1990.0))

    assert [] == fills(seen)
    assert [("Expired", "script-1")] == ends(seen)


def test_an_order_that_expires_inside_a_bar_meets_only_its_open():
    """Whether 1995 came before half past, the bar does not tell."""
    expires = START + MINUTE + 30 * SECOND
    at_1995 = buy(price="1995", time_in_force=TimeInForce.GTD, expires=expires)
    at_2000 = buy(price="2000", time_in_force=TimeInForce.GTD, expires=expires)

    seen = trade({0: [at_1995, at_2000]}, flat(0), ohlc(1, 2000.0, 2000.0, 1990.0, 1990.0))

    assert [("script-2", "1", "2000.00")] == fills(seen)
    assert [("Expired", "script-1")] == ends(seen)


# Cancel and replace.


def test_a_cancelled_order_does_not_fill():
    seen = trade(
        {0: [buy(price="1995")], 1: [Cancel(order_id="script-1")]}, flat(0), flat(1), flat(2, 1990.0)
    )

    assert [] == fills(seen)
    assert [("Canceled", "script-1")] == ends(seen)


def test_a_cancel_on_its_way_does_not_stop_a_fill_and_is_rejected():
    """Asked at 00:02:00, at the venue at 00:02:30, while the bar that fills the order forms."""
    seen = trade(
        {0: [buy(price="1995")], 1: [Cancel(order_id="script-1")]},
        flat(0),
        flat(1),
        ohlc(2, 2000.0, 2000.0, 1994.0, 1996.0),
        flat(3),
        latency_ms=30_000,
    )

    assert [("script-1", "1", "1995.00")] == fills(seen)
    assert ["too late: it is not working"] == [event.reason for event in seen.of(CancelRejected)]


def test_changes_are_made_in_the_order_in_which_they_arrive():
    """The replace is asked for first and takes 30 seconds; the cancel takes none."""

    @plugin
    class SlowToReplace(Paper):
        def latency_of(self, request: Order | Cancel | Replace) -> int:
            return 30 * SECOND if isinstance(request, Replace) else 0

    changes: list[Request] = [Replace(order_id="script-1", price=Decimal(1996)), Cancel(order_id="script-1")]

    seen = trade({0: [buy(price="1995")], 1: changes}, flat(0), flat(1), flat(5), paper=SlowToReplace())

    assert [("Canceled", "script-1")] == ends(seen)
    assert [] == seen.of(Replaced)
    assert ["script-1"] == [event.order_id for event in seen.of(CancelRejected)]


def test_a_cancel_meets_the_market_of_its_own_order():
    """Silver goes on at 00:02; gold's bar from 00:01 is told later, and the cancel came after it began."""
    silver = replace(GOLD, symbol="XAGUSD")
    script = Script(requests={0: [buy(price="1995")], 1: [Cancel(order_id="script-1")]}, on_fills={})
    engine, seen = engine_with(instruments={"XAUUSD": GOLD, "XAGUSD": silver}, script=script, paper=Paper())

    engine.handle(flat(0))
    engine.handle(flat(1, 24.0, symbol="XAGUSD"))
    engine.handle(flat(2, 24.0, symbol="XAGUSD"))
    engine.handle(replace(flat(1, 1994.0), time=START + 3 * MINUTE))

    assert [("script-1", "1", "1994.00")] == fills(seen)


def test_a_replaced_order_works_with_its_new_terms():
    change = Replace(order_id="script-1", quantity=Decimal(2), price=Decimal(1990))

    seen = trade(
        {0: [buy(price="1995")], 1: [change]}, flat(0), flat(1), ohlc(2, 1994.0, 1994.0, 1989.0, 1989.0)
    )

    assert [("script-1", "2", "1990.00")] == fills(seen)
    assert [Decimal(2)] == [event.quantity for event in seen.of(Replaced)]


def test_a_replace_on_its_way_does_not_stop_a_fill_and_is_rejected():
    change = Replace(order_id="script-1", price=Decimal(1980))

    seen = trade(
        {0: [buy(price="1995")], 1: [change]},
        flat(0),
        flat(1),
        ohlc(2, 2000.0, 2000.0, 1994.0, 1996.0),
        flat(3),
        latency_ms=30_000,
    )

    assert [("script-1", "1", "1995.00")] == fills(seen)
    assert 1 == len(seen.of(CancelRejected))
    assert [] == books(seen).working()


def test_a_triggered_stop_limit_can_be_replaced_and_stays_triggered():
    seen = trade(
        {0: [buy(price="1999", stop_price="2005")], 1: [Replace(order_id="script-1", price=Decimal(1998))]},
        flat(0),
        ohlc(1, 2000.0, 2006.0, 2000.0, 2001.0),
        ohlc(2, 2001.0, 2002.0, 1997.0, 2000.0),
    )

    assert [("script-1", "1", "1998.00")] == fills(seen)


def test_the_exits_of_a_bracket_can_be_replaced_while_they_sleep_and_keep_their_size():
    entry = bracket(buy("10", price="1995"), stop_loss=Decimal(1990), take_profit=Decimal(2010))
    change = Replace(order_id="script-2", stop_price=Decimal(1992))

    seen = trade(
        {0: entry, 1: [change]},
        flat(0),
        ohlc(1, 1995.0, 1996.0, 1994.0, 1996.0, volume=4.0),
        ohlc(2, 1996.0, 1996.0, 1996.0, 1996.0, volume=100.0),
        ohlc(3, 1993.0, 1993.0, 1992.5, 1993.0, volume=0.0),
        ohlc(4, 1991.0, 1992.0, 1990.0, 1991.0, volume=4.0),
        volume_share=Decimal(1),
    )

    assert ("script-2", "4", "1991.00") in fills(seen)


# Latency.


def test_an_order_that_arrives_while_a_bar_forms_is_matched_from_the_next():
    """Asked at 00:01:00, at the venue at 00:01:30."""
    seen = trade({0: [buy()]}, flat(0), flat(1, 2001.0), flat(2, 2002.0), latency_ms=30_000)

    assert [("script-1", "1", "2002.00")] == fills(seen)


def test_an_order_that_arrives_as_a_bar_begins_is_matched_on_it():
    seen = trade({0: [buy()]}, flat(0), flat(1, 2001.0), flat(2, 2002.0), latency_ms=60_000)

    assert [("script-1", "1", "2002.00")] == fills(seen)


def test_on_quotes_an_order_meets_the_first_quote_after_it_arrived():
    market = [quote(2000.0 + number, 2000.2 + number, number=number) for number in range(4)]

    seen = trade({0: [buy()]}, *market, latency_ms=1_500)

    assert [("script-1", "1", "2002.20")] == fills(seen)


# How much there is.


def test_a_share_of_the_volume_of_each_bar_can_be_filled():
    seen = trade(
        {0: [buy("10")]},
        flat(0),
        flat(1, 2001.0, volume=30.0),
        flat(2, 2002.0, volume=0.0),
        flat(3, 2003.0, volume=90.0),
        volume_share=Decimal("0.1"),
    )

    assert [("script-1", "3", "2001.00"), ("script-1", "7", "2003.00")] == fills(seen)


def test_the_volume_is_shared_in_the_order_in_which_orders_arrived():
    seen = trade({0: [buy("4"), buy("4"), sell("4")]}, flat(0), flat(1, volume=6.0), volume_share=Decimal(1))

    # Buys and sells each have their share of the volume.
    assert [
        ("script-1", "4", "2000.00"),
        ("script-2", "2", "2000.00"),
        ("script-3", "4", "2000.00"),
    ] == fills(seen)


def test_an_older_order_that_is_slower_arrives_later():
    """The first order takes 40 seconds to the venue, the second none; both meet the bar from 00:02."""

    @plugin
    class SlowForTheFirst(Paper):
        def latency_of(self, request: Order | Cancel | Replace) -> int:
            return 40 * SECOND if isinstance(request, Order) and request.id == "script-1" else 0

    seen = trade(
        {0: [buy("3")], 1: [buy("3")]},
        flat(0),
        flat(1, volume=4.0),
        flat(2, volume=4.0),
        paper=SlowForTheFirst(volume_share=Decimal(1)),
    )
    overtaken = trade(
        {0: [buy("3", price="1990"), buy("3", price="1990")]},
        flat(0),
        flat(1, volume=4.0),
        ohlc(2, 2000.0, 2000.0, 1989.0, 1990.0, volume=4.0),
        paper=SlowForTheFirst(volume_share=Decimal(1)),
    )

    assert [("script-1", "3", "2000.00"), ("script-2", "1", "2000.00")] == fills(seen)
    assert [("script-2", "3", "1990.00"), ("script-1", "1", "1990.00")] == fills(overtaken)


def test_what_can_be_filled_is_cut_to_whole_steps():
    seen = trade({0: [buy("10")]}, flat(0), flat(1, volume=1.239), volume_share=Decimal(1))

    assert [("script-1", "1.23", "2000.00")] == fills(seen)


def test_on_quotes_the_size_of_the_side_that_is_met_can_be_filled():
    """A buy takes from the ask, of which there are four lots."""
    seen = trade(
        {0: [buy("10"), sell("10")]},
        quote(2000.0, 2000.2),
        Quote("XAUUSD", START + SECOND, 2000.0, 2000.2, bid_size=3.0, ask_size=4.0),
        volume_share=Decimal(1),
    )

    assert [("script-1", "4", "2000.20"), ("script-2", "3", "2000.00")] == fills(seen)


def test_a_quote_that_tells_no_size_limits_nothing():
    seen = trade(
        {0: [buy("10")]}, quote(2000.0, 2000.2), quote(2000.0, 2000.2, number=1), volume_share=Decimal(1)
    )

    assert [("script-1", "10", "2000.20")] == fills(seen)


def test_without_a_share_volume_is_not_looked_at():
    seen = trade({0: [buy("10")]}, flat(0), flat(1, volume=1.0))

    assert [("script-1", "10", "2000.00")] == fills(seen)


# Reduce only.


def test_an_order_that_only_reduces_never_opens_a_position():
    seen = trade({0: [sell(reduce_only=True)]}, flat(0), flat(1))

    assert [] == fills(seen)
    assert ["there is nothing left to reduce"] == [event.reason for event in seen.of(Canceled)]


def test_an_order_that_only_reduces_never_adds_to_a_position():
    seen = trade({0: [buy("3")], 1: [buy("1", reduce_only=True)]}, flat(0), flat(1), flat(2))

    assert [("script-1", "3", "2000.00")] == fills(seen)
    assert [("Canceled", "script-2")] == ends(seen)


def test_an_order_that_only_reduces_never_turns_a_position():
    seen = trade({0: [buy("3")], 1: [sell("5", reduce_only=True)]}, flat(0), flat(1), flat(2))

    assert [("script-1", "3", "2000.00"), ("script-2", "3", "2000.00")] == fills(seen)
    assert [("Canceled", "script-2")] == ends(seen)
    assert Decimal(0) == books(seen).position("XAUUSD").quantity


# What it costs.


def test_commission_is_paid_for_each_lot_on_each_side():
    seen = trade({0: [buy("2")], 1: [sell("2")]}, flat(0), flat(1), flat(2), commission=Decimal("7.00"))

    assert [Decimal("14.00"), Decimal("14.00")] == [fill.commission for fill in seen.of(Fill)]
    assert Decimal("99972.00") == books(seen).cash


def test_commission_can_be_a_part_of_the_value():
    """Two lots of 100 oz at 2000 are worth 400,000; 0.00002 of it is 8."""
    seen = trade({0: [buy("2")]}, flat(0), flat(1), commission_rate=Decimal("0.00002"))

    assert [Decimal(8)] == [fill.commission for fill in seen.of(Fill)]


def test_slippage_is_against_us_on_both_sides():
    seen = trade({0: [buy(), sell()]}, flat(0), flat(1), slippage=Decimal("0.15"))

    assert [("script-1", "1", "2000.15"), ("script-2", "1", "1999.85")] == fills(seen)


def test_slippage_can_grow_with_the_range_of_the_bar():
    """0.10 and a twentieth of the range of 6: 0.40."""
    seen = trade(
        {0: [buy()]},
        flat(0),
        ohlc(1, 2000.0, 2004.0, 1998.0, 2001.0),
        slippage=Decimal("0.10"),
        slippage_of_range=Decimal("0.05"),
    )

    assert [("script-1", "1", "2000.40")] == fills(seen)


def test_limits_do_not_slip():
    orders = [buy(price="1995"), buy(price="1997", stop_price="1996")]

    seen = trade({0: orders}, flat(0), ohlc(1, 1995.0, 1996.5, 1994.0, 1995.0), slippage=Decimal("0.15"))

    assert [("script-1", "1", "1995.00"), ("script-2", "1", "1996.00")] == fills(seen)


def test_slippage_never_takes_a_price_below_the_first_tick():
    seen = trade({0: [sell()]}, flat(0, 0.05), flat(1, 0.05), slippage=Decimal("0.15"))

    assert [("script-1", "1", "0.01")] == fills(seen)


def test_prices_are_on_the_tick():
    """2000.13 is nearest to 2000.25, and 2000.35 is too."""
    quarter = replace(GOLD, tick_size=Decimal("0.25"))

    seen = trade({0: [buy()]}, flat(0), flat(1, 2000.13), instrument=quarter, slippage=Decimal("0.10"))

    assert [("script-1", "1", "2000.25")] == fills(seen)


# Swap.

CARRIED = replace(NEW_YORK, swap_long=Decimal("-5.50"), swap_short=Decimal("1.25"))


def swaps(seen: Recorder) -> list[tuple[str, int]]:
    return [(f"{swap.amount:.2f}", swap.time) for swap in seen.of(Swap)]


def test_swap_is_paid_for_what_is_held_over_the_rollover():
    """Two lots over the night from Monday to Tuesday, at 22:00 UTC: 2 × -5.50."""
    seen = trade(
        {0: [buy("2")]},
        bar_at("2026-01-05T21:57"),
        bar_at("2026-01-05T21:58"),
        bar_at("2026-01-05T21:59"),
        bar_at("2026-01-05T23:00"),
        bar_at("2026-01-05T23:01"),
        instrument=CARRIED,
    )

    assert [("-11.00", at("2026-01-05T23:00"))] == swaps(seen)
    assert Decimal("99989.00") == books(seen, CARRIED).cash


def test_a_short_position_receives_the_rate_for_shorts():
    seen = trade(
        {0: [sell("2")]},
        bar_at("2026-01-05T21:58"),
        bar_at("2026-01-05T21:59"),
        bar_at("2026-01-05T23:00"),
        instrument=CARRIED,
    )

    assert [("2.50", at("2026-01-05T23:00"))] == swaps(seen)


def test_the_night_from_wednesday_counts_three_times_and_the_weekend_not_at_all():
    """From Tuesday to the Tuesday after: Tue 1, Wed 3, Thu 1, Fri 1, the weekend 0, Mon 1."""
    days = [*(f"2026-01-{day:02}T12:00" for day in range(6, 10)), "2026-01-11T23:30", "2026-01-12T12:00"]

    seen = trade(
        {0: [buy()]},
        bar_at("2026-01-06T11:00"),
        *map(bar_at, days),
        bar_at("2026-01-13T12:00"),
        instrument=CARRIED,
    )

    assert ["-5.50", "-16.50", "-5.50", "-5.50", "-5.50"] == [amount for amount, _ in swaps(seen)]
    assert [at(f"2026-01-{day}T12:00") for day in ("07", "08", "09")] == [time for _, time in swaps(seen)][:3]
    assert [at("2026-01-11T23:30"), at("2026-01-13T12:00")] == [time for _, time in swaps(seen)][3:]


def test_a_gap_in_the_data_pays_each_night_of_it():
    """A week holds seven nights."""
    seen = trade(
        {0: [buy()]},
        bar_at("2026-01-06T11:00"),
        bar_at("2026-01-06T12:00"),
        bar_at("2026-01-13T12:00"),
        instrument=CARRIED,
    )

    assert [("-38.50", at("2026-01-13T12:00"))] == swaps(seen)


def test_a_longer_bar_that_began_the_day_before_pays_no_night_again():
    """The hour from 21:30 is told after the minute from 23:00, of the same instrument."""
    seen = trade(
        {0: [buy()]},
        bar_at("2026-01-05T21:58"),
        bar_at("2026-01-05T21:59"),
        bar_at("2026-01-05T23:00"),
        bar_at("2026-01-05T21:30", length=2 * HOUR),
        bar_at("2026-01-05T23:30"),
        instrument=CARRIED,
    )

    assert [("-5.50", at("2026-01-05T23:00"))] == swaps(seen)


def test_what_is_closed_before_the_rollover_or_opened_after_it_pays_no_swap():
    seen = trade(
        {0: [buy()], 1: [sell()], 2: [buy()]},
        bar_at("2026-01-05T21:57"),
        bar_at("2026-01-05T21:58"),
        bar_at("2026-01-05T21:59"),
        bar_at("2026-01-05T23:00"),
        instrument=CARRIED,
    )

    assert 3 == len(fills(seen))
    assert [] == swaps(seen)


def test_what_was_bought_in_the_last_bar_of_a_day_pays_for_the_night():
    """Filled inside the bar that ends with the day."""
    seen = trade(
        {0: [buy(price="1995")]},
        bar_at("2026-01-05T21:58"),
        bar_at("2026-01-05T21:59", open=2000.0, high=2000.0, low=1994.0),
        bar_at("2026-01-05T23:00"),
        instrument=CARRIED,
    )

    assert [("-5.50", at("2026-01-05T23:00"))] == swaps(seen)


def test_swap_follows_the_clock_of_the_venue_through_the_summer():
    """In July 17:00 in New York is 21:00 UTC."""
    seen = trade(
        {0: [buy()]},
        bar_at("2026-07-06T20:58"),
        bar_at("2026-07-06T20:59"),
        bar_at("2026-07-06T22:00"),
        instrument=CARRIED,
    )

    assert [("-5.50", at("2026-07-06T22:00"))] == swaps(seen)


# Margin.

ON_MARGIN = replace(GOLD, margin_rate=Decimal("0.05"))
TWENTY_THOUSAND = Account(cash=Decimal(20_000), currency="USD")


def refused(seen: Recorder) -> list[tuple[str, str]]:
    return [(event.order_id, event.reason) for event in seen.of(Rejected)]


def test_an_order_that_needs_more_margin_than_is_free_is_rejected_with_the_numbers():
    """Three lots at 2000 are worth 600,000, of which 30,000 must be held; there are 20,000."""
    seen = trade({0: [buy("3"), buy("2")]}, flat(0), flat(1), instrument=ON_MARGIN, account=TWENTY_THOUSAND)

    assert [("script-1", "not enough margin: it needs 30000.00 USD, 20000.00 is free")] == refused(seen)
    assert [("script-2", "2", "2000.00")] == fills(seen)


def test_what_positions_hold_back_is_not_free():
    """One lot bought at 2000 holds back 5 % of its value at 2010, and has earned 1000."""
    seen = trade(
        {0: [buy("1")], 1: [buy("2")]},
        flat(0),
        ohlc(1, 2000.0, 2010.0, 2000.0, 2010.0),
        instrument=ON_MARGIN,
        account=TWENTY_THOUSAND,
    )

    assert [("script-2", "not enough margin: it needs 20100.00 USD, 10950.00 is free")] == refused(seen)


def test_what_working_orders_may_open_is_not_free():
    """The first order would hold back 10,000 of the 20,000 when it fills."""
    seen = trade(
        {0: [buy("1", price="1990"), buy("2")]}, flat(0), instrument=ON_MARGIN, account=TWENTY_THOUSAND
    )

    assert [("script-2", "not enough margin: it needs 20000.00 USD, 10000.00 is free")] == refused(seen)


def test_orders_that_only_reduce_hold_nothing_back():
    seen = trade(
        {0: [sell("5", price="2100", reduce_only=True), buy("2")]},
        flat(0),
        instrument=ON_MARGIN,
        account=TWENTY_THOUSAND,
    )

    assert [] == refused(seen)


def test_only_one_of_two_sides_can_be_held_so_the_larger_counts():
    """Two lots bought or two lots sold hold back 20,000 either way."""
    seen = trade(
        {0: [buy("2", price="1990"), sell("2", price="2010")]},
        flat(0),
        instrument=ON_MARGIN,
        account=TWENTY_THOUSAND,
    )

    assert [] == refused(seen)


def test_an_order_that_reduces_needs_no_margin():
    """The position has lost more than there was; it can still be closed."""
    seen = trade(
        {0: [buy("2")], 1: [sell("2"), sell("2", reduce_only=True)]},
        flat(0),
        ohlc(1, 2000.0, 2000.0, 1800.0, 1800.0),
        flat(2, 1800.0),
        instrument=ON_MARGIN,
        account=TWENTY_THOUSAND,
    )

    assert [] == refused(seen)
    assert ("script-2", "2", "1800.00") == fills(seen)[-1]


def test_a_replace_that_needs_more_margin_than_is_free_is_rejected_with_the_numbers():
    seen = trade(
        {0: [buy("1", price="1990")], 1: [Replace(order_id="script-1", quantity=Decimal(3))]},
        flat(0),
        flat(1),
        flat(2, 1990.0),
        instrument=ON_MARGIN,
        account=TWENTY_THOUSAND,
    )

    reason = "not enough margin: it needs 20000.00 USD, 10000.00 is free"
    assert [reason] == [event.reason for event in seen.of(CancelRejected)]
    assert [("script-1", "1", "1990.00")] == fills(seen)


# Names and numbers.


def test_the_venues_names_are_counted_so_that_two_runs_have_the_same():
    seen = trade({0: [buy(), buy(price="1990")], 1: [sell()]}, flat(0), flat(1), flat(2))

    assert ["paper-1", "paper-2"] == [fill.trade_id for fill in seen.of(Fill)]
    assert ["paper-1", "paper-2", "paper-3"] == [
        event.venue_order_id for event in seen.events if hasattr(event, "venue_order_id")
    ]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("commission", Decimal("NaN")),
        ("commission_rate", Decimal("-0.1")),
        ("slippage", Decimal("Infinity")),
        ("slippage_of_range", Decimal("NaN")),
        ("latency_ms", -1),
        ("volume_share", Decimal("1.01")),
        ("volume_share", Decimal(0)),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(setting: str, value: object):
    with pytest.raises(ValueError, match=f"^{setting} must "):
        Paper(**{setting: value})  # type: ignore[arg-type]


# The page.


def test_each_rule_of_the_page_names_tests_that_are_here():
    named = re.findall(r"`(test_\w+)`", DOCS.read_text())

    assert named
    assert [] == [name for name in named if not callable(globals().get(name))]


def test_each_rule_that_is_tested_is_on_the_page():
    here = {name for name in globals() if name.startswith("test_")}
    about_the_page = {name for name in here if "page" in name}

    assert set() == here - about_the_page - set(re.findall(r"`(test_\w+)`", DOCS.read_text()))


def test_the_pages_subclass_replaces_a_cost(tmp_path: Path):
    """A spread of 1.00, and half of it lost on top."""
    (source,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    written = tmp_path / "thin_paper.py"
    written.write_text(source)

    thin = runpy.run_path(str(written))["ThinPaper"]()
    seen = trade({0: [buy()]}, flat(0), flat(1, 2000.0, spread=1.0), paper=thin)

    assert [("script-1", "1", "2001.50")] == fills(seen)


# When it need not look.


class Slow(Paper):
    def latency_of(self, request: Any) -> int:
        return SECOND


@pytest.mark.parametrize(
    ("rests", "paper", "instrument"),
    [
        (True, Paper(), GOLD),
        (True, Paper(commission_rate=Decimal("0.0001"), slippage=Decimal("0.10")), GOLD),
        (False, Paper(latency_ms=1), GOLD),
        (False, Slow(), GOLD),
        (False, Paper(), replace(GOLD, margin_rate=Decimal("0.01"))),
        (False, Paper(), replace(GOLD, swap_long=Decimal("-1"))),
        (False, Paper(), replace(GOLD, swap_short=Decimal(1))),
        (False, Paper(), replace(GOLD, currency="JPY")),
    ],
)
def test_it_rests_without_orders_unless_time_or_prices_matter_to_it(rests, paper, instrument):
    paper.startup({"XAUUSD": instrument}, ACCOUNT)

    assert rests is paper.rests()
