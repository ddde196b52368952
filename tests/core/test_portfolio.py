"""Positions, cash and exposure: what holds for any events, against plain calculations of our own."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import (
    Accepted,
    Account,
    Cancel,
    Canceled,
    Event,
    Expired,
    Fill,
    Halted,
    Instrument,
    NoRate,
    Order,
    OrderType,
    Portfolio,
    Rejected,
    Replace,
    Replaced,
    Side,
    Swap,
    Triggered,
    Unknown,
    reach,
)
from nicegold.testing import ACCOUNT, GOLD, MINUTE, START, bar, encoded, market_order, quote

YEN = Instrument(
    symbol="USDJPY",
    tick_size=Decimal("0.001"),
    lot_size=Decimal(100_000),
    quantity_step=Decimal("0.01"),
    currency="JPY",
    margin_rate=Decimal("0.02"),
)
CROSS = msgspec.structs.replace(YEN, symbol="GBPJPY")
INSTRUMENTS = {"XAUUSD": GOLD, "USDJPY": YEN, "GBPJPY": CROSS}
SYMBOLS = st.sampled_from(sorted(INSTRUMENTS))
STRATEGIES = st.sampled_from(["cross", "breakout", ""])
CENT = Decimal("0.01")


def books(currency: str = "USD") -> Portfolio:
    return Portfolio(Account(cash=Decimal(100_000), currency=currency), INSTRUMENTS)


def fold(events: Sequence[Event], portfolio: Portfolio | None = None) -> Portfolio:
    """The portfolio once *events* have happened, each fill at the rate of its moment, as the engine's."""
    portfolio = portfolio or books()
    for event in events:
        portfolio.apply(rated(event, portfolio) if isinstance(event, Fill) else event)
    return portfolio


def rated(fill: Fill, portfolio: Portfolio) -> Fill:
    """*fill* with the rate that the engine adds."""
    return msgspec.structs.replace(fill, rate=portfolio.rate(portfolio.instruments[fill.symbol].currency))


def fill(
    quantity: str | Decimal,
    price: str | Decimal,
    side: Side = Side.BUY,
    *,
    symbol: str = "XAUUSD",
    strategy: str = "s",
    trade: str = "t-1",
    order: str = "s-1",
    commission: str | Decimal = "0",
) -> Fill:
    return Fill(
        order_id=order,
        trade_id=trade,
        time=START,
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        commission=Decimal(commission),
        strategy=strategy,
    )


# One at a time.


def test_a_long_gains_what_the_price_rises_times_its_ounces():
    portfolio = fold([fill("0.10", "2000"), bar(2010.0)])

    assert 100.0 == pytest.approx(portfolio.unrealized)
    assert 100_100.0 == pytest.approx(portfolio.equity)
    assert Decimal(100_000) == portfolio.cash


def test_a_short_gains_what_the_price_falls():
    portfolio = fold([fill("0.10", "2000", Side.SELL), fill("0.10", "1990", trade="t-2")])

    assert Decimal(100_100) == portfolio.cash
    assert Decimal(100) == portfolio.position("XAUUSD").realized
    assert 100_100.0 == portfolio.equity


def test_a_fill_beyond_flat_turns_the_position_at_its_price():
    portfolio = fold([fill("1", "2000"), fill("3", "2010", Side.SELL, trade="t-2")])

    position = portfolio.position("XAUUSD")
    assert (Decimal(-2), Decimal(2010)) == (position.quantity, position.average_price)
    assert Decimal(1000) == position.realized


def test_adding_averages_and_reducing_keeps_the_average():
    added = [fill("1", "2000"), fill("3", "2004", trade="t-2")]

    assert Decimal(2003) == fold(added).position("XAUUSD").average_price
    reduced = fold([*added, fill("2", "1990", Side.SELL, trade="t-3")])
    assert (Decimal(2003), Decimal(2)) == (
        reduced.position("XAUUSD").average_price,
        reduced.position("XAUUSD").quantity,
    )


def test_a_position_that_was_never_opened_is_flat():
    assert (Decimal(0), Decimal(0)) == (
        books().position("XAUUSD").quantity,
        books().position("XAUUSD").average_price,
    )
    assert Decimal(0) == books().position("XAUUSD", "s").quantity
    assert {} == dict(books().positions)


def test_cash_pays_commission_and_gets_swap():
    portfolio = fold(
        [
            fill("1", "2000", commission="7"),
            Swap(symbol="XAUUSD", time=START, amount=Decimal("-4.5")),
        ]
    )

    assert Decimal("99988.5") == portfolio.cash
    assert (Decimal(7), Decimal("-4.5")) == (portfolio.commission, portfolio.swap)


def test_a_trade_is_booked_once_however_often_it_is_told():
    once = fold([fill("1", "2000", commission="7")])
    thrice = fold([fill("1", "2000", commission="7")] * 3)

    assert once.position("XAUUSD") == thrice.position("XAUUSD")
    assert once.cash == thrice.cash
    assert thrice.has_fill(fill("1", "2000"))
    assert not thrice.has_fill(fill("1", "2000", trade="t-2"))


def test_yen_become_dollars_at_the_rate_of_the_fill():
    portfolio = fold(
        [
            bar(150.0, symbol="USDJPY"),
            fill("1", "190", symbol="GBPJPY"),
            bar(125.0, symbol="USDJPY", number=1),
            fill("1", "190.5", Side.SELL, symbol="GBPJPY", trade="t-2"),
        ]
    )

    assert Decimal(400) == portfolio.position("GBPJPY").realized  # 50,000 yen at 125
    assert Decimal(100_400) == portfolio.cash


def test_a_rate_is_straight_or_inverse_or_one():
    portfolio = fold([bar(150.0, symbol="USDJPY")])

    assert Decimal(1) == portfolio.rate("USD")
    assert Decimal(1) / Decimal("150.0") == portfolio.rate("JPY")
    assert Decimal("150.0") == fold([bar(150.0, symbol="USDJPY")], books("JPY")).rate("USD")


def test_a_missing_rate_says_which_feed_would_give_it():
    with pytest.raises(NoRate) as missing:
        books().rate("JPY")

    assert "no rate from JPY to USD: add a feed for the instrument JPYUSD or USDJPY" == str(missing.value)


def test_a_fill_of_an_unknown_instrument_is_not_booked_by_half():
    portfolio = books()

    with pytest.raises(KeyError):
        portfolio.apply(fill("1", "190", symbol="XAGUSD"))

    assert not portfolio.has_fill(fill("1", "190", symbol="XAGUSD"))
    assert Decimal(100_000) == portfolio.cash


def test_margin_is_the_rate_times_the_value_at_the_last_price():
    portfolio = fold([bar(150.0, symbol="USDJPY"), fill("1", "150", symbol="USDJPY")])

    assert Decimal(2000) == portfolio.margin.quantize(CENT)
    assert Decimal(0) == fold([fill("1", "2000")]).margin


def test_prices_are_those_of_the_last_close_or_quote():
    portfolio = books()
    assert portfolio.price("XAUUSD") != portfolio.price("XAUUSD")  # NaN before the first
    assert 0 == portfolio.priced_at("XAUUSD")

    portfolio.apply(bar(2000.0))
    assert (2000.0, START + MINUTE, START + MINUTE) == (
        portfolio.price("XAUUSD"),
        portfolio.priced_at("XAUUSD"),
        portfolio.time,
    )

    portfolio.apply(quote(2000.0, 2001.0, number=90))
    assert 2000.5 == portfolio.price("XAUUSD")


def test_time_does_not_run_backwards_with_a_slower_instrument():
    portfolio = fold([bar(2000.0, number=5), bar(150.0, symbol="USDJPY", number=2)])

    assert START + 6 * MINUTE == portfolio.time
    assert START + 3 * MINUTE == portfolio.priced_at("USDJPY")


def test_equity_does_not_wait_for_the_first_price():
    assert 100_000.0 == fold([fill("1", "2000")]).equity


def test_the_first_reason_for_a_halt_stays():
    portfolio = fold([Halted(plugin="a", reason="loss"), Halted(plugin="b", reason="drawdown")])

    assert "loss" == portfolio.halted


def test_a_halt_without_a_reason_is_a_halt():
    assert "no reason given" == fold([Halted(plugin="a", reason="")]).halted


def test_nobody_else_changes_the_instruments():
    given_to_us = dict(INSTRUMENTS)
    portfolio = Portfolio(ACCOUNT, given_to_us)

    given_to_us.clear()

    assert INSTRUMENTS == dict(portfolio.instruments)
    with pytest.raises(TypeError):
        portfolio.instruments["XAUUSD"] = YEN  # type: ignore[index]
    with pytest.raises(TypeError):
        portfolio.positions["XAUUSD"] = None  # type: ignore[index]


# What is working.


def test_an_order_works_until_it_ends_and_its_strategy_is_remembered():
    order = market_order(id="s-1", strategy="s")
    for end in (
        Canceled(order_id="s-1", time=1),
        Rejected(order_id="s-1", time=1, reason="no"),
        Expired(order_id="s-1", time=1),
        fill("0.10", "2000"),
    ):
        portfolio = fold([order])
        assert [order] == [state.order for state in portfolio.working()]

        portfolio.apply(end)

        assert portfolio.order("s-1") is None
        assert [] == portfolio.working()
        assert ("s", "") == (portfolio.strategy_of("s-1"), portfolio.strategy_of("other-1"))


def test_an_order_that_ended_long_ago_is_forgotten_and_one_that_works_is_not():
    old, working = market_order(id="s-1", strategy="s"), market_order(id="s-2", strategy="s")
    portfolio = fold([old, working, fill("0.10", "2000")])

    late = [market_order(id="s-3", strategy="s"), Canceled(order_id="s-3", time=1)]
    fold([bar(2000.0, number=60 * 24 * 31), *late], portfolio)

    assert [True, False, False] == [portfolio.has_forgotten(each) for each in ("s-1", "s-2", "s-3")]
    assert ["", "s", "s"] == [portfolio.strategy_of(each) for each in ("s-1", "s-2", "s-3")]
    assert not portfolio.has_forgotten("other-1")
    assert not portfolio.has_forgotten("by hand")


def test_an_order_that_ended_last_week_is_remembered_with_its_trades():
    portfolio = fold([bar(2000.0), market_order(id="s-1", strategy="s"), fill("0.10", "2000")])

    fold([bar(2000.0, number=60 * 24 * 7), market_order(id="s-2", strategy="s")], portfolio)

    assert not portfolio.has_forgotten("s-1")
    assert portfolio.has_fill(fill("0.10", "2000"))


def test_memory_holds_only_what_ended_lately():
    portfolio = books()

    for number in range(500):
        order = market_order(id=f"s-{number}", strategy="s")
        fold([bar(2000.0, number=number * 60 * 24), order, fill("0.10", "2000", order=order.id)], portfolio)

    assert 500 == portfolio.fills
    assert 32 >= sum(not portfolio.has_forgotten(f"s-{number}") for number in range(500))


def test_trades_of_orders_that_it_never_heard_of_are_forgotten_too():
    portfolio = books()

    for number in range(500):
        foreign = fill("0.10", "2000", order=f"desk-{number}", trade=f"t-{number}")
        fold([bar(2000.0, number=number * 60 * 24), foreign], portfolio)

    old, new = (fill("0.10", "2000", order=f"desk-{each}", trade=f"t-{each}") for each in (0, 499))
    assert [False, True] == [portfolio.has_fill(old), portfolio.has_fill(new)]
    assert 500 == portfolio.fills


def test_working_orders_are_listed_by_symbol_and_strategy_oldest_first():
    orders = [
        market_order(id="a-1", strategy="a"),
        market_order(id="b-1", strategy="b"),
        msgspec.structs.replace(market_order(id="a-2", strategy="a"), symbol="USDJPY"),
    ]
    portfolio = fold(list(orders))

    assert ["a-1", "b-1", "a-2"] == [state.order.id for state in portfolio.working()]
    assert ["a-1", "a-2"] == [state.order.id for state in portfolio.working(strategy="a")]
    assert ["a-1", "b-1"] == [state.order.id for state in portfolio.working("XAUUSD")]
    assert ["a-1"] == [state.order.id for state in portfolio.working("XAUUSD", "a")]


def test_heading_counts_entries_and_market_exits_and_leaves_out_resting_exits():
    entry = market_order(quantity="1", id="s-1", strategy="s")
    stop = market_order(
        Side.SELL,
        "1",
        id="s-2",
        strategy="s",
        order_type=OrderType.STOP,
        stop_price=Decimal(1990),
        reduce_only=True,
    )
    way_out = market_order(Side.SELL, "1", id="s-3", strategy="s", reduce_only=True)
    other = market_order(quantity="5", id="o-1", strategy="o")

    assert Decimal(1) == fold([entry, stop, other]).heading("XAUUSD", "s")
    assert Decimal(0) == fold([entry, stop, other, way_out]).heading("XAUUSD", "s")


def test_reach_asks_for_what_is_missing_and_for_nothing_twice():
    portfolio = fold([fill("0.30", "2000")])

    (order,) = reach(Decimal("-0.20"), "XAUUSD", "s", portfolio)

    assert (Side.SELL, Decimal("0.50")) == (order.side, order.quantity)
    portfolio.apply(msgspec.structs.replace(order, id="s-2", strategy="s"))
    assert [] == reach(Decimal("-0.20"), "XAUUSD", "s", portfolio)


# What holds for any fills, against a plain calculation.


class Trade(NamedTuple):
    """A generated fill."""

    symbol: str
    strategy: str
    side: Side
    lots: int  # hundredths
    ticks: int
    commission: int  # cents


PRICES = {"XAUUSD": 2000.0, "USDJPY": 150.0, "GBPJPY": 190.0}
TRADES = st.builds(
    Trade,
    SYMBOLS,
    STRATEGIES,
    st.sampled_from(Side),
    st.integers(1, 300),
    st.integers(-2000, 2000),
    st.integers(-50, 1000),
)
MARKS = st.tuples(SYMBOLS, st.floats(0.8, 1.25))
SWAPS = st.integers(-5000, 5000)
HISTORIES = st.lists(st.one_of(TRADES, MARKS, SWAPS), max_size=30)


def events_of(history: list[object]) -> list[Event]:
    """The events that *history* stands for; every price is known from the start."""
    events: list[Event] = [bar(price, symbol=symbol) for symbol, price in PRICES.items()]
    for number, each in enumerate(history, 1):
        match each:
            case Trade():
                tick = INSTRUMENTS[each.symbol].tick_size
                events.append(
                    fill(
                        Decimal(each.lots) / 100,
                        Decimal(repr(PRICES[each.symbol])) + each.ticks * tick,
                        each.side,
                        symbol=each.symbol,
                        strategy=each.strategy,
                        trade=f"t-{number}",
                        commission=Decimal(each.commission) / 100,
                    )
                )
            case (str() as symbol, float() as factor):
                events.append(bar(round(PRICES[symbol] * factor, 3), symbol=symbol, number=number))
            case int() as cents:
                events.append(Swap(symbol="XAUUSD", time=START, amount=Decimal(cents) / 100))
    return events


def plainly(events: list[Event]) -> tuple[Fraction, dict[str, Fraction], Fraction]:
    """Cash, lots by symbol and equity of *events*: average cost in exact fractions, no portfolio code."""
    cash = Fraction(100_000)
    lots: dict[str, Fraction] = {}
    average: dict[str, Fraction] = {}
    price: dict[str, Fraction] = {}

    def dollars(symbol: str) -> Fraction:
        size = Fraction(INSTRUMENTS[symbol].lot_size)
        return size if symbol == "XAUUSD" else size / price["USDJPY"]

    for event in events:
        if isinstance(event, Swap):
            cash += Fraction(event.amount)
        elif isinstance(event, Fill):
            held, traded, at = (
                lots.get(event.symbol, Fraction(0)),
                Fraction(event.signed_quantity),
                Fraction(event.price),
            )
            closed = min(abs(held), abs(traded)) if held * traded < 0 else Fraction(0)
            if closed:
                gain = at - average[event.symbol] if held > 0 else average[event.symbol] - at
                cash += closed * gain * dollars(event.symbol)
            after = held + traded
            if abs(traded) > closed:
                opened = abs(traded) - closed
                kept = abs(held) - closed
                average[event.symbol] = (kept * average.get(event.symbol, at) + opened * at) / (kept + opened)
            lots[event.symbol] = after
            cash -= Fraction(event.commission)
        else:
            price[event.symbol] = Fraction(repr(event.close))  # type: ignore[attr-defined]  # a bar
    open_profit = sum(
        (held * (price[symbol] - average[symbol]) * dollars(symbol) for symbol, held in lots.items() if held),
        Fraction(0),
    )
    return cash, lots, cash + open_profit


@given(HISTORIES)
def test_a_position_is_the_sum_of_its_fills(history):
    events = events_of(history)
    portfolio = fold(events)

    for symbol in INSTRUMENTS:
        fills = [event for event in events if isinstance(event, Fill) and event.symbol == symbol]
        assert (
            sum((each.signed_quantity for each in fills), Decimal(0)) == portfolio.position(symbol).quantity
        )
        for strategy in ("cross", "breakout", ""):
            mine = (each.signed_quantity for each in fills if each.strategy == strategy)
            assert sum(mine, Decimal(0)) == portfolio.position(symbol, strategy).quantity


@given(HISTORIES)
def test_the_strategies_add_up_to_the_account(history):
    portfolio = fold(events_of(history))

    for symbol in INSTRUMENTS:
        parts = [portfolio.position(symbol, strategy).quantity for strategy in ("cross", "breakout", "")]
        assert sum(parts, Decimal(0)) == portfolio.position(symbol).quantity


@given(HISTORIES)
def test_cash_is_conserved_to_the_cent(history):
    portfolio = fold(events_of(history))

    realized = sum((position.realized for position in portfolio.positions.values()), Decimal(0))
    expected = Decimal(100_000) + realized - portfolio.commission + portfolio.swap
    assert abs(expected - portfolio.cash) < Decimal("1E-12")


@given(HISTORIES)
def test_cash_and_equity_agree_with_a_plain_calculation(history):
    events = events_of(history)
    cash, _, equity = plainly(events)
    portfolio = fold(events)

    assert abs(cash - Fraction(portfolio.cash)) < Fraction(1, 10**9)
    assert float(equity) == pytest.approx(portfolio.equity, rel=1e-9, abs=1e-4)


@given(HISTORIES)
def test_equity_is_cash_when_everything_is_flat(history):
    portfolio = fold(events_of(history))
    for number, (symbol, position) in enumerate(list(portfolio.positions.items())):
        if position.quantity:
            side = Side.SELL if position.quantity > 0 else Side.BUY
            portfolio.apply(
                fill(abs(position.quantity), "123.45", side, symbol=symbol, trade=f"close-{number}")
            )

    assert float(portfolio.cash) == portfolio.equity
    assert (0.0, Decimal(0)) == (portfolio.unrealized, portfolio.margin)
    assert {Decimal(0)} >= {position.cost for position in portfolio.positions.values()}


@given(HISTORIES)
def test_what_is_told_twice_counts_once(history):
    events = events_of(history)
    fills = [event for event in events if isinstance(event, Fill)]

    once, twice = fold(events), fold([*events, *fills])

    assert (once.cash, dict(once.positions)) == (twice.cash, dict(twice.positions))


@given(HISTORIES)
def test_the_same_events_give_the_same_portfolio(history):
    events = events_of(history)

    first, again = fold(events), fold(events)

    assert (first.cash, first.equity, encoded(list(first.positions.values()))) == (  # type: ignore[arg-type]
        again.cash,
        again.equity,
        encoded(list(again.positions.values())),  # type: ignore[arg-type]
    )


ANYTHING = st.lists(
    st.sampled_from(
        [
            market_order(id="s-1", quantity="5"),
            market_order(Side.SELL, id="s-2", quantity="3"),
            Accepted(order_id="s-1", time=1),
            Rejected(order_id="s-2", time=1, reason="no"),
            Cancel(order_id="s-1"),
            Canceled(order_id="s-1", time=1),
            Replace(order_id="s-1", quantity=Decimal(7)),
            Replaced(order_id="s-1", time=1, quantity=Decimal(7)),
            Expired(order_id="s-2", time=1),
            Triggered(order_id="s-2", time=1),
            Unknown(order_id="s-2", reason="timeout"),
            fill("2", "2000", order="s-1", trade="a"),
            fill("3", "2000", order="s-1", trade="b"),
            fill("3", "2000", Side.SELL, order="s-2", trade="c"),
            fill("1", "2000", order="nobody", trade="d"),
            Halted(plugin="risk", reason="loss"),
            bar(2000.0),
        ]
    ),
    max_size=20,
)


@given(ANYTHING)
def test_no_order_is_in_two_states(events):
    portfolio = fold(events)

    ids = [state.order.id for state in portfolio.working()]
    assert sorted(set(ids)) == sorted(ids)
    for state in portfolio.working():
        assert state == portfolio.order(state.order.id)
        assert state.is_working


# Exposure is never below what could happen.


class Working(NamedTuple):
    """A generated working order, with what has filled and the total a replace asks for."""

    side: Side
    lots: int
    filled: int
    reduces: bool
    asked: int


WORKING = st.builds(
    Working, st.sampled_from(Side), st.integers(1, 5), st.integers(0, 4), st.booleans(), st.integers(0, 8)
)


def order_of(number: int, working: Working) -> Order:
    return Order(
        symbol="XAUUSD",
        side=working.side,
        quantity=Decimal(working.lots),
        order_type=OrderType.LIMIT,
        price=Decimal(2000),
        reduce_only=working.reduces,
        id=f"s-{number}",
        strategy="s",
    )


def booked(held: int, orders: list[Working]) -> Portfolio:
    """*held* lots, and *orders* on their way; what they filled was closed again elsewhere."""
    portfolio = books()
    for number, working in enumerate(orders):
        order = order_of(number, working)
        portfolio.apply(order)
        portfolio.apply(Accepted(order_id=order.id, time=1))
        if working.asked:
            portfolio.apply(Replace(order_id=order.id, quantity=Decimal(working.asked)))
        filled = min(working.filled, working.lots - 1)
        if filled:
            trade = f"t-{number}"
            portfolio.apply(fill(Decimal(filled), "2000", working.side, order=order.id, trade=trade))
            back = working.side.opposite
            portfolio.apply(fill(Decimal(filled), "2000", back, order="x", trade=trade))
    if held:
        side = Side.BUY if held > 0 else Side.SELL
        portfolio.apply(fill(Decimal(abs(held)), "2000", side, order="x", trade="held"))
    return portfolio


def extremes(held: Decimal, orders: list[tuple[Side, Decimal, bool]]) -> tuple[Decimal, Decimal]:
    """The least and the most that we may ever hold when any of *orders* fill in any order."""
    least = most = held
    for size in range(len(orders) + 1):
        for chosen in permutations(orders, size):
            now = held
            for side, quantity, reduces in chosen:
                room = max(-now * side.sign, Decimal(0))
                now += (min(quantity, room) if reduces else quantity) * side.sign
                least, most = min(least, now), max(most, now)
    return least, most


def leaves(portfolio: Portfolio, without: str = "") -> list[tuple[Side, Decimal, bool]]:
    return [
        (state.order.side, state.remaining, state.order.reduce_only)
        for state in portfolio.working()
        if state.order.id != without
    ]


@given(st.integers(-5, 5), st.lists(WORKING, max_size=4), WORKING)
def test_exposure_is_never_below_what_any_working_orders_can_make_of_it(held, orders, new):
    portfolio = booked(held, orders)
    order = order_of(99, new)

    after = portfolio.exposure_after(order)

    possible = [*leaves(portfolio), (order.side, order.quantity, order.reduce_only)]
    least, most = extremes(portfolio.position("XAUUSD").quantity, possible)
    assert after >= most if order.side is Side.BUY else after <= least


@given(st.integers(-5, 5), st.lists(WORKING, min_size=1, max_size=4), st.integers(1, 8))
def test_exposure_takes_the_new_terms_of_an_order_that_is_replaced(held, orders, lots):
    portfolio = booked(held, orders)
    replaced = portfolio.order("s-0")
    assert replaced is not None
    amended = msgspec.structs.replace(replaced.order, quantity=Decimal(lots))

    after = portfolio.exposure_after(amended)

    left = max(amended.quantity - replaced.filled, Decimal(0))
    possible = [*leaves(portfolio, "s-0"), (amended.side, left, amended.reduce_only)]
    least, most = extremes(portfolio.position("XAUUSD").quantity, possible)
    assert after >= most if amended.side is Side.BUY else after <= least


def test_of_an_order_that_is_replaced_only_what_has_not_filled_is_counted():
    portfolio = fold([market_order(quantity="5", id="s-1"), fill("2", "2000", order="s-1")])

    assert Decimal(7) == portfolio.exposure_after(market_order(quantity="7", id="s-1"))


def test_exposure_counts_the_side_of_the_order_and_leaves_out_the_other():
    portfolio = booked(2, [Working(Side.BUY, 3, 0, False, 0), Working(Side.SELL, 4, 0, False, 0)])

    assert Decimal(6) == portfolio.exposure_after(market_order(Side.BUY, "1", id="n"))
    assert Decimal(-3) == portfolio.exposure_after(market_order(Side.SELL, "1", id="n"))


def test_an_order_that_only_reduces_never_turns_the_exposure():
    assert Decimal(0) == booked(2, []).exposure_after(market_order(Side.SELL, "5", id="n", reduce_only=True))
    assert Decimal(1) == booked(2, []).exposure_after(market_order(Side.SELL, "1", id="n", reduce_only=True))
    assert Decimal(2) == booked(2, []).exposure_after(market_order(Side.BUY, "1", id="n", reduce_only=True))


def test_an_exit_that_may_fill_first_leaves_nothing_for_an_entry_to_turn_against():
    """Long 3 with a stop for 3: a sell of 5 is short 5 if the stop fills before it."""
    portfolio = booked(3, [Working(Side.SELL, 3, 0, True, 0)])

    assert Decimal(-5) == portfolio.exposure_after(market_order(Side.SELL, "5", id="n"))


def test_exposure_is_a_symbols_own():
    portfolio = booked(2, [Working(Side.BUY, 3, 0, False, 0)])
    other = msgspec.structs.replace(market_order(Side.BUY, "1", id="n"), symbol="USDJPY")

    assert Decimal(1) == portfolio.exposure_after(other)
