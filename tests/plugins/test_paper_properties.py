"""What holds on paper for any orders on any market, through the whole engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from nicegold import (
    SECOND,
    Accepted,
    Bar,
    Cancel,
    Canceled,
    Event,
    Expired,
    Fill,
    Instrument,
    Market,
    Order,
    OrderType,
    PluginFailed,
    Portfolio,
    Quote,
    Rejected,
    Replace,
    Replaced,
    Request,
    Sessions,
    Side,
    TimeInForce,
    hookimpl,
)
from nicegold.testing import GOLD, MINUTE, START, bar, encoded, engine_with
from nicegold_plugins.brokers.paper import Paper
from tests.plugins.script import Script

pytestmark = pytest.mark.slow

TICK = Decimal("0.01")
#: Prices p and MIRROR - p are each other's mirror.
MIRROR = 4000
LONG_AFTER = START + 1_000_000 * MINUTE
COSTLY = replace(
    GOLD,
    spread=Decimal("0.20"),
    margin_rate=Decimal("0.02"),
    swap_long=Decimal("-5.5"),
    swap_short=Decimal("1.5"),
    sessions=Sessions.parse("gold"),
)
#: Its profit is in yen, and its own price says what they are worth.
YEN = replace(COSTLY, symbol="USDJPY", currency="JPY")


class Case(NamedTuple):
    """A market, what is asked for after each of its bars or quotes, and what paper is set to."""

    markets: Sequence[Market]
    requests: Mapping[int, Sequence[Request]]
    costs: Mapping[str, Any]


class Run(NamedTuple):
    """What came of a case."""

    events: list[Event]
    portfolio: Portfolio
    paper: Paper

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def meetings(self) -> Iterator[tuple[Market, list[Fill]]]:
        """Each bar or quote with the fills that it made."""
        market: Market | None = None
        made: list[Fill] = []
        for event in self.events:
            if isinstance(event, Bar | Quote):
                if market is not None:
                    yield market, made
                market, made = event, []
            elif isinstance(event, Fill):
                made.append(event)
        if market is not None:
            yield market, made


def run(case: Case, instrument: Instrument = GOLD, venue: type[Paper] = Paper) -> Run:
    paper = venue(**case.costs)
    engine, seen = engine_with(
        instruments={instrument.symbol: instrument},
        script=Script(requests=case.requests, on_fills={}),
        paper=paper,
    )
    for market in case.markets:
        engine.handle(market)
    return Run(seen.events, engine.portfolio, paper)


# Any market.

#: Ticks around 2000; most are near, so that orders are reached.
ticks = st.integers(-60, 60).map(lambda count: 2000 + count * 5 * TICK)


@st.composite
def any_bar(draw: st.DrawFn) -> Bar:
    low, first, last, high = sorted(draw(st.lists(ticks, min_size=4, max_size=4)))
    open_, close = draw(st.sampled_from([(first, last), (last, first), (low, high), (high, low)]))
    return bar(
        float(close),
        open=float(open_),
        high=float(high),
        low=float(low),
        volume=float(draw(st.integers(0, 6))),
        spread=float(draw(st.sampled_from([Decimal(0), Decimal("0.3")]))),
    )


def numbered(found: Iterable[Bar]) -> list[Bar]:
    return [
        replace(each, start=START + number * MINUTE, time=START + (number + 1) * MINUTE)
        for number, each in enumerate(found)
    ]


bars = st.lists(any_bar(), min_size=4, max_size=9).map(numbered)


@st.composite
def any_quotes(draw: st.DrawFn) -> list[Quote]:
    sides = draw(st.lists(st.tuples(ticks, st.integers(0, 30), st.integers(0, 6)), min_size=4, max_size=9))
    return [
        Quote(
            "XAUUSD",
            START + (number + 1) * MINUTE,
            bid=float(bid),
            ask=float(bid + wide * TICK),
            bid_size=float(size),
            ask_size=float(size),
        )
        for number, (bid, wide, size) in enumerate(sides)
    ]


markets = st.one_of(bars, any_quotes())


# Any orders.

_PRICES: dict[OrderType, dict[str, st.SearchStrategy[Decimal]]] = {
    OrderType.MARKET: {},
    OrderType.LIMIT: {"price": ticks},
    OrderType.STOP: {"stop_price": ticks},
    OrderType.STOP_LIMIT: {"price": ticks, "stop_price": ticks},
    OrderType.TRAILING_STOP: {"trail": st.integers(1, 200).map(lambda count: count * TICK)},
}
lots = st.integers(1, 4).map(Decimal)


@st.composite
def any_order(draw: st.DrawFn, /, **terms: Any) -> Order:
    kind = draw(st.sampled_from(OrderType))
    prices: dict[str, Any] = {name: draw(price) for name, price in _PRICES[kind].items()}
    lasts = draw(st.sampled_from([TimeInForce.GTC] * 4 + list(TimeInForce)))
    expires = START + draw(st.integers(1, 16)) * MINUTE // 2 if lasts is TimeInForce.GTD else 0
    return Order(
        symbol="XAUUSD",
        side=draw(st.sampled_from(Side)),
        quantity=draw(lots),
        order_type=kind,
        time_in_force=lasts,
        expires=expires,
        reduce_only=draw(st.sampled_from([False, False, True])),
        **prices,
        **terms,
    )


single = any_order().map(lambda order: [order])
excluding = st.lists(any_order(oco="pair"), min_size=2, max_size=3)
entry_and_exits = st.tuples(
    any_order(id="entry"), st.lists(any_order(parent="entry", oco="exit"), min_size=1, max_size=2)
).map(lambda found: [found[0], *found[1]])
order_ids = st.integers(1, 5).map(lambda number: f"script-{number}")
cancel = st.builds(Cancel, order_id=order_ids).map(lambda request: [request])
change = st.builds(
    Replace,
    order_id=order_ids,
    quantity=st.none() | lots,
    price=st.none() | ticks,
    stop_price=st.none() | ticks,
).map(lambda request: [request])
asked = st.one_of(single, entry_and_exits, excluding, cancel, change)
requests = st.dictionaries(
    st.integers(0, 4),
    st.lists(asked, min_size=1, max_size=3).map(lambda lists: [each for one in lists for each in one]),
    min_size=1,
    max_size=4,
)
latency = st.sampled_from([0, 0, 30_000, 60_000, 90_000])
volume_share = st.none() | st.sampled_from([Decimal("0.5"), Decimal(1)])
costs = st.fixed_dictionaries(
    {
        "latency_ms": latency,
        "volume_share": volume_share,
        "slippage": st.sampled_from([Decimal(0), Decimal("0.07")]),
        "slippage_of_range": st.sampled_from([Decimal(0), Decimal("0.1")]),
        "commission": st.sampled_from([Decimal(0), Decimal("7.00")]),
        "commission_rate": st.sampled_from([Decimal(0), Decimal("0.00002")]),
    }
)
no_costs = st.fixed_dictionaries({"latency_ms": latency, "volume_share": volume_share})

cases = st.builds(Case, markets, requests, costs)
on_bars = st.builds(Case, bars, requests, costs)
free = st.builds(Case, markets, requests, no_costs)
free_on_bars = st.builds(Case, bars, requests, no_costs)
free_on_quotes = st.builds(Case, any_quotes(), requests, no_costs)

#: A run costs some ten milliseconds.
often = settings(max_examples=50)


# What holds.


@often
@given(case=cases)
def test_nothing_that_is_asked_for_makes_the_venue_fail(case: Case):
    done = run(case, COSTLY)

    assert [] == done.of(PluginFailed)


@often
@given(case=cases)
def test_no_more_is_filled_than_was_ordered(case: Case):
    done = run(case)

    for order_id, filled in _filled(done).items():
        assert filled <= max(_quantities(done, order_id))


@often
@given(case=on_bars)
def test_every_price_lies_within_its_bar(case: Case):
    done = run(case, COSTLY)

    for seen, fills in done.meetings():
        assert isinstance(seen, Bar)
        spread = Decimal(repr(seen.spread)) or COSTLY.spread
        low, high = Decimal(repr(seen.low)), Decimal(repr(seen.high))
        slip = case.costs["slippage"] + case.costs["slippage_of_range"] * (high - low)
        for fill in fills:
            ask = spread if fill.side is Side.BUY else 0
            assert low + ask - slip - TICK <= fill.price <= high + ask + slip + TICK


@often
@given(case=free_on_quotes)
def test_every_price_is_the_one_that_was_quoted(case: Case):
    done = run(case)

    for seen, fills in done.meetings():
        assert isinstance(seen, Quote)
        for fill in fills:
            assert Decimal(repr(seen.ask if fill.side is Side.BUY else seen.bid)) == fill.price


@often
@given(case=cases, known=st.integers(1, 8))
def test_what_comes_later_changes_nothing_that_has_happened(case: Case, known: int):
    all_of_it = run(case, COSTLY).events
    begun = run(case._replace(markets=case.markets[:known]), COSTLY).events

    assert begun == all_of_it[: len(begun)]


@often
@given(case=cases)
def test_no_fill_uses_a_market_that_had_begun_when_its_order_arrived(case: Case):
    done = run(case)

    arrived = {order.id: order.time + case.costs["latency_ms"] * SECOND // 1000 for order in done.of(Order)}
    for seen, fills in done.meetings():
        began = seen.start if isinstance(seen, Bar) else seen.time
        for fill in fills:
            assert arrived[fill.order_id] <= began <= fill.time <= seen.time


@often
@given(case=free_on_bars, other=any_bar())
def test_what_fills_at_the_open_does_not_know_the_rest_of_the_bar(case: Case, other: Bar):
    *before, last = case.markets
    assert isinstance(last, Bar)
    shift = last.open - other.open
    rest = {name: round(getattr(other, name) + shift, 2) for name in ("high", "low", "close")}

    here = run(case, COSTLY)
    there = run(case._replace(markets=[*before, replace(last, **rest)]), COSTLY)

    assert _at_open(here) == _at_open(there)


@often
@given(case=free)
def test_a_mirrored_market_gives_mirrored_fills(case: Case):
    fair = case._replace(markets=[_without_spread(market) for market in case.markets])

    done, mirrored = run(fair), run(_mirrored_case(fair))

    assert [type(event) for event in done.events] == [type(event) for event in mirrored.events]
    assert done.of(Fill) == [
        replace(fill, side=fill.side.opposite, price=MIRROR - fill.price) for fill in mirrored.of(Fill)
    ]


@often
@given(case=cases)
def test_every_order_ends_once_and_nothing_happens_to_it_afterwards(case: Case):
    done = run(_run_out(case))

    for order_id in _accepted(done):
        filled = _filled(done)[order_id] >= _quantities(done, order_id)[-1]
        ended = [each for each in done.of(Canceled) + done.of(Expired) if each.order_id == order_id]
        assert 1 == len(ended) + filled
        if ended:
            assert ended == _about(done, order_id)[-1:]
    assert [] == done.portfolio.working()


@often
@given(case=cases)
def test_exits_close_no_more_than_their_entry_opened(case: Case):
    done = run(case)

    parents = {order.id: order.parent for order in done.of(Order)}
    opened: dict[str, Decimal] = defaultdict(Decimal)
    closed: dict[str, Decimal] = defaultdict(Decimal)
    for fill in done.of(Fill):
        opened[fill.order_id] += fill.quantity
        parent = parents[fill.order_id]
        closed[parent] += fill.quantity
        assert not parent or closed[parent] <= opened[parent]


@often
@given(case=cases)
def test_orders_that_exclude_each_other_fill_no_more_than_the_largest(case: Case):
    done = run(case)

    groups: dict[str, list[str]] = {}
    for order in done.of(Order):
        groups.setdefault(order.oco, []).append(order.id)
    groups.pop("", None)
    for members in groups.values():
        largest = max(max(_quantities(done, member)) for member in members)
        assert sum(_filled(done)[member] for member in members) <= largest


@often
@given(case=cases)
def test_an_order_that_only_reduces_never_takes_the_account_further_from_flat(case: Case):
    done = run(case)

    reduces = {order.id for order in done.of(Order) if order.reduce_only}
    held = Decimal(0)
    for fill in done.of(Fill):
        after = held + fill.signed_quantity
        assert fill.order_id not in reduces or (abs(after) < abs(held) and after * held >= 0)
        held = after


@often
@given(case=cases)
def test_the_venues_books_are_ours(case: Case):
    in_dollars, in_yen = run(case, COSTLY), run(_for_yen(case), YEN)

    for done in (in_dollars, in_yen):
        symbols = done.portfolio.instruments
        assert {each: done.portfolio.position(each).quantity for each in symbols} == done.paper.venue.lots
    # Only where a rate is needed has the venue an account of its own.
    account, ours = in_yen.paper.venue.account, in_yen.portfolio
    assert [(each.symbol, each.quantity, each.cost) for each in account.positions.values()] == [
        (each.symbol, each.quantity, each.cost) for each in ours.positions.values()
    ]
    assert ours.cash == account.cash
    assert ours.commission == account.commission
    assert ours.swap == account.swap


class Thorough(Paper):
    """Looks at each bar, and at all that may happen to each order, also where there is a shorter way.

    The shorter way is for orders that last until they are cancelled; these last until long after the end.
    """

    @hookimpl
    def rests(self) -> bool:
        return False

    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        if order.time_in_force is TimeInForce.GTC:
            order = replace(order, time_in_force=TimeInForce.GTD, expires=LONG_AFTER)
        return super().place_order(order)


@often
@given(case=cases)
def test_the_shorter_ways_lead_to_the_same(case: Case):
    shorter, longer = run(case), run(case, venue=Thorough)

    assert encoded(shorter.events) == encoded(longer.events)


@often
@given(case=cases)
def test_the_same_again_gives_the_same_bytes(case: Case):
    once, again = (run(case, COSTLY) for _ in range(2))

    assert encoded(once.events) == encoded(again.events)


# What these ask of a run.


def _accepted(done: Run) -> list[str]:
    return [event.order_id for event in done.of(Accepted)]


def _filled(done: Run) -> dict[str, Decimal]:
    filled = {order.id: Decimal(0) for order in done.of(Order)}
    for fill in done.of(Fill):
        filled[fill.order_id] += fill.quantity
    return filled


def _quantities(done: Run, order_id: str) -> list[Decimal]:
    """What was ordered, first to last."""
    first = [order.quantity for order in done.of(Order) if order.id == order_id]
    return first + [event.quantity for event in done.of(Replaced) if event.order_id == order_id]


def _about(done: Run, order_id: str) -> list[Event]:
    """What the venue said of the order, but for its answers to what came too late."""
    kinds = (Accepted, Rejected, Fill, Canceled, Expired, Replaced)
    return [event for event in done.events if isinstance(event, kinds) and event.order_id == order_id]


def _at_open(done: Run) -> list[Fill]:
    *_, (seen, fills) = done.meetings()
    assert isinstance(seen, Bar)
    return [fill for fill in fills if fill.time == seen.start]


def _run_out(case: Case) -> Case:
    """*case*, at whose end everything is cancelled, with time for the cancels to arrive."""
    end = case.markets[-1].time - START
    still = [replace(each, start=each.start + end, time=each.time + end) for each in numbered([bar()] * 5)]
    ordered = sum(isinstance(request, Order) for each in case.requests.values() for request in each)
    cancels = [Cancel(order_id=f"script-{number}") for number in range(1, ordered + 1)]
    before = {number: each for number, each in case.requests.items() if number < len(case.markets)}
    return case._replace(markets=[*case.markets, *still], requests={**before, len(case.markets): cancels})


# Mirrors.


def _without_spread(market: Market) -> Market:
    return replace(market, spread=0.0) if isinstance(market, Bar) else replace(market, ask=market.bid)


def _mirrored(price: float) -> float:
    return float(MIRROR - Decimal(repr(price)))


def _mirrored_market(market: Market) -> Market:
    if isinstance(market, Quote):
        return replace(market, bid=_mirrored(market.ask), ask=_mirrored(market.bid))
    return replace(
        market,
        open=_mirrored(market.open),
        high=_mirrored(market.low),
        low=_mirrored(market.high),
        close=_mirrored(market.close),
    )


def _mirrored_case(case: Case) -> Case:
    return case._replace(
        markets=[_mirrored_market(market) for market in case.markets],
        requests={
            number: [_mirrored_request(request) for request in each] for number, each in case.requests.items()
        },
    )


def _mirrored_request(request: Request) -> Request:
    if isinstance(request, Cancel):
        return request
    prices = {name: getattr(request, name) for name in ("price", "stop_price")}
    changed: dict[str, Any] = {name: MIRROR - price for name, price in prices.items() if price is not None}
    if isinstance(request, Order):
        changed["side"] = request.side.opposite
    return replace(request, **changed)


def _for_yen(case: Case) -> Case:
    return case._replace(
        markets=[replace(market, symbol="USDJPY") for market in case.markets],
        requests={
            number: [
                replace(request, symbol="USDJPY") if isinstance(request, Order) else request
                for request in each
            ]
            for number, each in case.requests.items()
        },
    )
