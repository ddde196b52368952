"""The price rules by themselves; that a venue keeps to them, tests/plugins/test_paper.py shows."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nicegold import Bar, Order, OrderType, Quote, Side, TimeInForce
from nicegold.matching import AT_OPEN, ON_LIMIT, ON_STOP, Book, Match, Meeting, Resting, Touch, match, touch
from nicegold.testing import GOLD, START, bar, market_order, quote

WITH_SPREAD = replace(GOLD, spread=Decimal("0.20"))
TICK = Decimal("0.01")
#: Prices p and MIRROR - p are each other's mirror.
MIRROR = 4000


def met(open_: str, high: str, low: str, close: str) -> Touch:
    return Touch(Decimal(open_), Decimal(high), Decimal(low), Decimal(close))


def order(kind: OrderType, side: Side = Side.BUY, **prices: str) -> Order:
    return market_order(
        side, "1", order_type=kind, **{name: Decimal(price) for name, price in prices.items()}
    )


# What each side meets.


def test_sells_meet_the_bid_negated_so_that_high_is_the_worst():
    found = touch(bar(2003.0, open=2000.0, high=2005.0, low=1998.0, spread=0.3), Side.SELL, GOLD)

    assert met("-2000", "-1998", "-2005", "-2003") == found


def test_buys_meet_the_bid_and_the_spread_of_the_bar():
    found = touch(bar(2003.0, open=2000.0, high=2005.0, low=1998.0, spread=0.3), Side.BUY, WITH_SPREAD)

    assert met("2000.3", "2005.3", "1998.3", "2003.3") == found


def test_the_spread_of_the_instrument_stands_in_for_a_bar_without_one():
    found = touch(bar(2000.0), Side.BUY, WITH_SPREAD)

    assert met("2000.2", "2000.2", "2000.2", "2000.2") == found


def test_a_quote_is_a_bar_whose_prices_are_one():
    seen = quote(2000.0, 2000.5)

    assert met(*["2000.5"] * 4) == touch(seen, Side.BUY, WITH_SPREAD)
    assert met(*["-2000"] * 4) == touch(seen, Side.SELL, WITH_SPREAD)


def test_what_is_met_is_at_the_tick():
    # 2000.126 + 0.2 = 2000.326, which is nearest to 2000.33.
    assert Decimal("2000.33") == touch(bar(2000.126), Side.BUY, WITH_SPREAD).open


# Where an order fills.

WHOLE_BAR = met("2000", "2010", "1990", "2004")


@pytest.mark.parametrize(
    ("expected", "asked"),
    [
        (Match(AT_OPEN, Decimal(2000)), order(OrderType.MARKET)),
        (Match(AT_OPEN, Decimal(2000)), order(OrderType.LIMIT, price="2001")),
        (Match(ON_LIMIT, Decimal(1990)), order(OrderType.LIMIT, price="1990")),
        (None, order(OrderType.LIMIT, price="1989.99")),
        (Match(AT_OPEN, Decimal(2000)), order(OrderType.STOP, stop_price="1999")),
        (Match(ON_STOP, Decimal(2010)), order(OrderType.STOP, stop_price="2010")),
        (None, order(OrderType.STOP, stop_price="2010.01")),
        (Match(ON_STOP, Decimal(2005)), order(OrderType.STOP_LIMIT, stop_price="2005", price="2001")),
        # From the open on it would trigger at 2013; from the low, 1990, at 2003, and the close is above.
        (Match(ON_STOP, Decimal(2003)), order(OrderType.TRAILING_STOP, trail="13")),
        (Match(ON_STOP, Decimal(2009)), order(OrderType.TRAILING_STOP, trail="9")),
        (None, order(OrderType.TRAILING_STOP, trail="14.01")),
    ],
)
def test_a_waiting_order_answers_where_it_fills_or_triggers(expected: Match | None, asked: Order):
    assert expected == match(asked, WHOLE_BAR)


@pytest.mark.parametrize(
    ("expected", "asked"),
    [
        (Match(AT_OPEN, Decimal(2000)), order(OrderType.STOP, stop_price="2020")),
        (Match(AT_OPEN, Decimal(2000)), order(OrderType.TRAILING_STOP, trail="50")),
        (Match(ON_LIMIT, Decimal(1995)), order(OrderType.STOP_LIMIT, stop_price="2020", price="1995")),
    ],
)
def test_a_triggered_stop_is_a_market_order_and_a_stop_limit_a_limit(expected: Match, asked: Order):
    assert expected == match(asked, WHOLE_BAR, triggered=True)


def test_a_trailing_stop_remembers_its_best_price():
    asked = order(OrderType.TRAILING_STOP, trail="14.01")

    # 1995.50 + 14.01 = 2009.51, within the bar, whose own open would give 2014.01.
    assert Match(ON_STOP, Decimal("2009.51")) == match(asked, WHOLE_BAR, best=Decimal("1995.50"))


def test_inside_a_bar_only_the_close_is_certain_of_what_is_good():
    left = WHOLE_BAR.since(Decimal(2006))

    assert met("2006", "2010", "2004", "2004") == left
    assert match(order(OrderType.LIMIT, price="2003.99"), left) is None
    assert Match(ON_LIMIT, Decimal(2004)) == match(order(OrderType.LIMIT, price="2004"), left)


def test_inside_a_bar_all_that_is_bad_may_still_come():
    left = WHOLE_BAR.since(Decimal(1995))

    assert met("1995", "2010", "1995", "2004") == left
    assert Match(ON_STOP, Decimal(2010)) == match(order(OrderType.STOP, stop_price="2010"), left)


# Whether a bar needs a second look.


@pytest.mark.parametrize(
    ("expected", "asked"),
    [
        (True, order(OrderType.LIMIT, Side.BUY, price="1990.20")),
        (False, order(OrderType.LIMIT, Side.BUY, price="1990.18")),
        (True, order(OrderType.LIMIT, Side.SELL, price="2010")),
        (False, order(OrderType.LIMIT, Side.SELL, price="2010.02")),
        (True, order(OrderType.STOP, Side.BUY, stop_price="2010.20")),
        (False, order(OrderType.STOP, Side.BUY, stop_price="2010.22")),
        (True, order(OrderType.STOP, Side.SELL, stop_price="1990")),
        (False, order(OrderType.STOP, Side.SELL, stop_price="1989.98")),
        (False, order(OrderType.STOP_LIMIT, Side.BUY, stop_price="2010.22", price="2000")),
        (True, order(OrderType.MARKET)),
        (True, order(OrderType.TRAILING_STOP, trail="500")),
    ],
)
def test_a_bar_that_stays_away_from_an_order_does_not_disturb_it(expected: bool, asked: Order):
    seen = bar(2000.0, high=2010.0, low=1990.0)

    assert expected is Meeting(seen, WITH_SPREAD, None).disturbs(Resting(asked, WITH_SPREAD, START))


def test_time_disturbs_an_order_that_ends_with_it():
    asked = replace(order(OrderType.LIMIT, price="1000"), time_in_force=TimeInForce.DAY)

    assert Meeting(bar(), GOLD, None).disturbs(Resting(asked, GOLD, START))


def test_another_instrument_disturbs_nothing():
    other = replace(GOLD, symbol="XAGUSD")

    assert not Meeting(bar(symbol="XAGUSD"), other, None).disturbs(Resting(market_order(), GOLD, START))


# A venue of one's own can be built on these.


def test_a_book_answers_the_order_that_the_market_reaches_first():
    stop = Resting(order(OrderType.STOP, Side.SELL, stop_price="1995"), GOLD, START)
    limit = Resting(replace(order(OrderType.LIMIT, price="1995"), id="test-2"), GOLD, START)
    book = Book({"test-2": limit, "test-1": stop})

    found = book.first(Meeting(bar(2000.0, low=1990.0), GOLD, None))

    assert (stop, Match(ON_STOP, Decimal(-1995))) == found


# Properties.

ticks = st.integers(180_000, 220_000).map(lambda count: count * TICK)


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    prices = sorted(draw(st.lists(ticks, min_size=4, max_size=4)))
    inner = draw(st.permutations(prices[1:3]))
    return bar(float(inner[1]), open=float(inner[0]), high=float(prices[3]), low=float(prices[0]))


@st.composite
def orders(draw: st.DrawFn) -> Order:
    kind = draw(st.sampled_from(OrderType))
    side = draw(st.sampled_from(Side))
    prices = {
        OrderType.MARKET: {},
        OrderType.LIMIT: {"price": ticks},
        OrderType.STOP: {"stop_price": ticks},
        OrderType.STOP_LIMIT: {"price": ticks, "stop_price": ticks},
        OrderType.TRAILING_STOP: {"trail": st.integers(1, 20_000).map(lambda count: count * TICK)},
    }[kind]
    return market_order(side, "1", order_type=kind, **{name: draw(value) for name, value in prices.items()})


def mirrored_bar(seen: Bar) -> Bar:
    return replace(
        seen,
        open=_mirrored(seen.open),
        high=_mirrored(seen.low),
        low=_mirrored(seen.high),
        close=_mirrored(seen.close),
    )


def mirrored_order(asked: Order) -> Order:
    prices = {name: getattr(asked, name) for name in ("price", "stop_price")}
    changed = {name: MIRROR - price for name, price in prices.items() if price is not None}
    return replace(asked, side=asked.side.opposite, **changed)


def _mirrored(price: float) -> float:
    return float(MIRROR - Decimal(repr(price)))


@given(seen=bars(), asked=orders(), triggered=st.booleans())
def test_in_a_mirrored_market_the_mirrored_order_gets_the_mirrored_price(
    seen: Bar, asked: Order, triggered: bool
):
    here = match(asked, touch(seen, asked.side, GOLD), triggered=triggered)
    mirrored = mirrored_order(asked)
    there = match(mirrored, touch(mirrored_bar(seen), mirrored.side, GOLD), triggered=triggered)

    assert (here is None) is (there is None)
    if here is not None and there is not None:
        price, its_mirror = here.price * asked.side.sign, there.price * mirrored.side.sign
        assert here.phase == there.phase
        assert MIRROR - price == its_mirror


@given(seen=bars(), asked=orders(), triggered=st.booleans())
def test_every_price_lies_within_the_bar(seen: Bar, asked: Order, triggered: bool):
    prices = touch(seen, asked.side, GOLD)

    found = match(asked, prices, triggered=triggered)

    assert found is None or prices.low <= found.price <= prices.high


@given(seen=bars(), asked=orders())
def test_a_limit_is_never_worse_than_its_price_and_a_stop_never_better(seen: Bar, asked: Order):
    found = match(asked, touch(seen, asked.side, GOLD))

    if found is not None and asked.order_type is OrderType.LIMIT:
        assert found.price <= asked.side.sign * (asked.price or 0)
    if found is not None and asked.order_type is OrderType.STOP:
        assert found.price >= asked.side.sign * (asked.stop_price or 0)


@given(seen=bars(), asked=orders(), spread=st.sampled_from(["0", "0.2", "1.37"]))
def test_a_bar_that_does_not_disturb_an_order_does_nothing_to_it(seen: Bar, asked: Order, spread: str):
    instrument = replace(GOLD, spread=Decimal(spread))
    meeting, resting = Meeting(seen, instrument, None), Resting(asked, instrument, START)

    assert meeting.disturbs(resting) or meeting.match(resting) is None


@given(bid=ticks, asked=orders(), spread=st.integers(0, 300))
def test_a_quote_that_does_not_disturb_an_order_does_nothing_to_it(bid: Decimal, asked: Order, spread: int):
    seen: Quote = quote(float(bid), float(bid + spread * TICK))
    meeting, resting = Meeting(seen, GOLD, None), Resting(asked, GOLD, START)

    assert meeting.disturbs(resting) or meeting.match(resting) is None
