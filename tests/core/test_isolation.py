"""A plugin that misbehaves never takes another down.

Each kind of plugin, misbehaving in each way, beside a healthy one of its kind: the healthy one
answers exactly as it would alone. Each way is also tried on every hook there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pluggy
import pytest

from nicegold import (
    Absent,
    Accepted,
    Account,
    Alert,
    Bar,
    Cancel,
    CancelRejected,
    Event,
    Execution,
    Fill,
    Halted,
    Health,
    Market,
    Order,
    OrderType,
    Placed,
    PluginFailed,
    Portfolio,
    Quote,
    Refused,
    Replace,
    Request,
    Side,
    Source,
    Started,
    Statement,
    Unknown,
    Vetoed,
    hookimpl,
    hookspecs,
    plugin,
)
from nicegold.engine import Engine
from nicegold.host import Host
from nicegold.testing import ACCOUNT, GOLD, Recorder, bar, engine_with, market_order, quote, unwatched

Misbehave = Callable[..., Any]
third_party = pluggy.HookimplMarker("nicegold")


# How a plugin can misbehave.


class Unprintable:
    def __repr__(self) -> str:
        raise SystemExit("from a repr")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class Liar:
    """Says that it is an order, as a mock made from one does."""

    # As mocks do.
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return Order


class Untouchable:
    """Raises on any touch, also when asked what it is."""

    # As mocks do.
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise RuntimeError("do not touch")


class MyOrder(Order, frozen=True, kw_only=True):
    """A subclass: nothing downstream would know it."""


def raises(error: BaseException) -> Misbehave:
    def misbehave(*_: object) -> None:
        raise error

    return misbehave


def answers(value: object) -> Misbehave:
    return lambda *_: value


def orders(**terms: Any) -> Misbehave:
    """Builds a bad order and would return it."""
    return lambda *_: [Order(**{"symbol": "XAUUSD", "side": Side.BUY, "quantity": Decimal(1), **terms})]


def recurse(*arguments: object) -> None:
    recurse(*arguments)


MISBEHAVIOURS: dict[str, Misbehave] = {
    "raises": raises(RuntimeError("broken")),
    "exits": raises(SystemExit(3)),
    "is_interrupted": raises(KeyboardInterrupt()),
    "raises_what_cannot_be_said": raises(Unspeakable()),
    "raises_what_is_not_unicode": raises(OSError("no such file: \udcff")),
    "recurses": recurse,
    "answers_a_number": answers(42),
    "answers_nan": answers(float("nan")),
    "answers_a_list_of_wrong_things": answers([object(), 42]),
    "answers_a_tuple": answers(()),
    "answers_a_generator": lambda *_: (each for each in [bar()]),
    "answers_what_cannot_be_shown": answers(Unprintable()),
    "answers_a_liar": answers(Liar()),
    "answers_what_cannot_be_touched": answers([Untouchable()]),
    "answers_a_subclass": answers([MyOrder(symbol="XAUUSD", side=Side.BUY, quantity=Decimal(1))]),
    "orders_nan": orders(quantity=Decimal("NaN")),
    "orders_infinity": orders(quantity=Decimal("Infinity")),
    "orders_a_float": orders(quantity=0.1),
    "orders_a_negative": orders(quantity=Decimal(-1)),
    "orders_more_than_there_is": orders(quantity=Decimal("1E+400")),
    "orders_at_nan": orders(order_type=OrderType.LIMIT, price=Decimal("NaN")),
    "orders_for_nothing": orders(symbol=None),
    "orders_with_a_list_for_a_parent": orders(parent=["entry"]),
    "orders_in_no_language": orders(oco="\ud800"),
}
each_misbehaviour = pytest.mark.parametrize("misbehave", MISBEHAVIOURS.values(), ids=MISBEHAVIOURS.keys())
#: Whether the bad plugin is called before the healthy one.
each_place = pytest.mark.parametrize("first", [True, False], ids=["bad_first", "bad_last"])


def both(bad: object, healthy: object, *, first: bool) -> dict[str, Any]:
    return {"bad": bad, "healthy": healthy} if first else {"healthy": healthy, "bad": bad}


def misbehaving(*hooks: str, misbehave: Misbehave) -> object:
    """A plugin that misbehaves in *hooks*."""
    return type("Bad", (), {hook: third_party(_method(misbehave)) for hook in hooks})()


def _method(misbehave: Misbehave) -> Callable[[object], Any]:
    return lambda self: misbehave()


def without_failures(events: list[Event]) -> list[Event]:
    """*events* but for what the bad plugin's own failures are told by."""
    return [each for each in events if not (isinstance(each, PluginFailed) and each.plugin == "bad")]


def failures(seen: Recorder) -> set[tuple[str, str]]:
    return {(each.plugin, each.hook) for each in seen.of(PluginFailed)}


# Every hook there is.

HOOKS = sorted(name for name, each in vars(hookspecs).items() if hasattr(each, "nicegold_spec"))
FIRST_RESULT = ("place_order", "cancel_order", "replace_order")
#: What each hook is given, and an answer that it allows.
SAMPLES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "startup": (({"XAUUSD": GOLD}, ACCOUNT, 7), None),
    "shutdown": ((), None),
    "health": ((), Health(ok=True)),
    "source": ((), Source("gold.csv", "sha256:0")),
    "describe_source": ((), ["columns: time is Date"]),
    "stream_market": (({"XAUUSD": GOLD}, None), iter([bar()])),
    "derive_market": ((bar(),), [bar()]),
    "rests": ((), True),
    "match_orders": ((bar(),), [Accepted(order_id="s-1", time=1)]),
    "on_bar": ((bar(), None), [market_order()]),
    "on_quote": ((quote(2000.0, 2000.2), None), [Cancel(order_id="s-1")]),
    "on_fill": ((None, None), [Replace(order_id="s-1", quantity=Decimal(1))]),
    "check_order": ((market_order(), None), "too much"),
    "check_portfolio": ((None,), "lost too much"),
    "place_order": ((market_order(),), Placed(order_id="test-1")),
    "cancel_order": ((Cancel(order_id="test-1"), market_order()), Placed(order_id="test-1")),
    "replace_order": ((Replace(order_id="test-1"), market_order()), Placed(order_id="test-1")),
    "fetch_statement": ((0,), Statement(time=1, since=0, orders=[], fills=[], positions={})),
    "find_order": ((market_order(),), [Absent(order_id="test-1", time=1)]),
    "stream_executions": ((), iter([Accepted(order_id="s-1", time=1)])),
    "on_event": ((bar(),), None),
    "notify": ((Alert("critical", "halted", "", 1),), None),
    "register_commands": ((None,), None),
}


@each_place
@each_misbehaviour
@pytest.mark.parametrize("hook", HOOKS)
def test_on_every_hook_the_healthy_plugin_answers_as_if_it_were_alone(hook, misbehave, first):
    arguments, answer = SAMPLES[hook]
    called: list[str] = []

    def healthily(self: object) -> Any:
        called.append(hook)
        return answer

    healthy = type("Healthy", (), {hook: third_party(healthily)})()
    host = Host(unwatched, both(misbehaving(hook, misbehave=misbehave), healthy, first=first))

    replies = host.call(hook)(*arguments)

    bad, good = ([reply for reply in replies if reply.plugin == name] for name in ("bad", "healthy"))
    allowed = hook.startswith("stream_") and misbehave is MISBEHAVIOURS["answers_a_generator"]
    if hook in FIRST_RESULT:
        assert (1, 0) == ((len(bad), len(good)) if first else (len(good), len(bad)))
        assert first is (called == [])
    else:
        assert [hook] == called
        assert ([] if answer is None else [answer]) == [reply.value for reply in good]
    assert all((reply.error is None) is allowed for reply in bad)
    assert all(reply.reason.encode() for reply in replies)


# Strategies.


@plugin
class Buys:
    """Buys on each bar, quote and first fill."""

    @hookimpl
    def on_bar(self, bar: Bar) -> list[Request]:
        return [Order(symbol=bar.symbol, side=Side.BUY, quantity=Decimal("0.10"))]

    @hookimpl
    def on_quote(self, quote: Quote) -> list[Request]:
        return [Order(symbol=quote.symbol, side=Side.BUY, quantity=Decimal("0.20"))]

    @hookimpl
    def on_fill(self, fill: Fill, portfolio: Portfolio) -> list[Request] | None:
        if portfolio.position(fill.symbol).quantity > Decimal("0.10"):
            return None
        return [Order(symbol=fill.symbol, side=Side.SELL, quantity=Decimal("0.10"))]


@plugin
class Venue:
    """Takes every order and fills it at the next close."""

    name: str = "venue"

    @hookimpl
    def startup(self) -> None:
        self.book: list[Order] = []
        self.trades = 0

    @hookimpl
    def place_order(self, order: Order) -> Accepted:
        self.book.append(order)
        return Accepted(order_id=order.id, time=order.time)

    @hookimpl
    def match_orders(self, market: Market) -> list[Execution] | None:
        filled, self.book = self.book, []
        price = market.close if isinstance(market, Bar) else market.ask
        return [self.fill(order, market.time, price) for order in filled] or None

    def fill(self, order: Order, time: int, price: float) -> Fill:
        self.trades += 1
        return Fill(
            order_id=order.id,
            trade_id=f"{self.name}-{self.trades}",
            time=time,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            price=GOLD.to_price(price),
        )


MARKET: list[Market] = [
    bar(2000.0),
    bar(2001.0, number=1),
    quote(2002.0, 2002.5, number=200),
    bar(2003.0, number=5),
]


def told(market: list[Market] = MARKET, **plugins: Any) -> Recorder:
    """What is told when *plugins* trade on *market*, from the start to the finish."""
    engine, seen = engine_with(**plugins)
    for each in market:
        engine.handle(each, "feed")
    engine.finish("done")
    return seen


@each_place
@each_misbehaviour
def test_a_strategy_that_misbehaves_leaves_the_others_trading(misbehave, first):
    hooks = ("on_bar", "on_quote", "on_fill")
    alone = told(healthy=Buys(), venue=Venue())

    seen = told(**both(misbehaving(*hooks, misbehave=misbehave), Buys(), first=first), venue=Venue())

    assert alone.events == without_failures(seen.events)
    assert {("bad", hook) for hook in hooks} == failures(seen)


# Risk.


@plugin
class Limit:
    """Objects to whatever would leave us holding more than *limit*."""

    limit: Decimal

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        after = portfolio.exposure_after(order)
        return None if abs(after) <= self.limit else f"would hold {after}"


@each_place
@each_misbehaviour
def test_a_risk_check_that_misbehaves_blocks_the_order_and_leaves_the_others_their_say(misbehave, first):
    bad = misbehaving("check_order", misbehave=misbehave)
    strict = told(buys=Buys(), healthy=Limit(limit=Decimal(0)), venue=Venue())

    seen = told(buys=Buys(), **both(bad, Limit(limit=Decimal(0)), first=first), venue=Venue())

    assert [] == seen.of(Order)
    mine = [[each for each in veto.objections if each.plugin == "healthy"] for veto in seen.of(Vetoed)]
    assert [veto.objections for veto in strict.of(Vetoed)] == mine
    assert all(len(veto.objections) == 2 for veto in seen.of(Vetoed))


@each_misbehaviour
def test_a_lone_risk_check_that_misbehaves_blocks_every_order(misbehave):
    seen = told(buys=Buys(), bad=misbehaving("check_order", misbehave=misbehave), venue=Venue())

    assert [] == seen.of(Order) + seen.of(Fill)
    assert {"bad"} == {each.plugin for veto in seen.of(Vetoed) for each in veto.objections}
    assert all(each.reason.startswith("failed: ") for veto in seen.of(Vetoed) for each in veto.objections)


@each_misbehaviour
def test_a_portfolio_check_that_misbehaves_asks_for_a_halt(misbehave):
    seen = told(buys=Buys(), bad=misbehaving("check_portfolio", misbehave=misbehave), venue=Venue())

    assert ["bad"] == [halted.plugin for halted in seen.of(Halted)]
    assert [] == seen.of(Order)


# Brokers.


@each_misbehaviour
def test_a_broker_that_misbehaves_ends_the_search_and_the_order_is_unknown(misbehave):
    venue = Venue()

    seen = told([bar()], buys=Buys(), bad=misbehaving("place_order", misbehave=misbehave), venue=venue)

    assert ["Bar", "Order", "Unknown", "Finished"] == seen.kinds
    assert [] == venue.book
    assert seen.of(Unknown)[0].reason.startswith("bad failed: ")


@each_misbehaviour
def test_a_broker_that_misbehaves_is_not_asked_where_a_healthy_one_takes_the_order(misbehave):
    hooks = ("place_order", "cancel_order", "replace_order")
    alone = told(buys=Buys(), venue=Venue())

    seen = told(buys=Buys(), venue=Venue(), bad=misbehaving(*hooks, misbehave=misbehave))

    assert alone.events == seen.events


@plugin
class Changes:
    """Places a limit on the first bar and asks for *change* on the second."""

    change: Cancel | Replace

    @hookimpl
    def startup(self) -> None:
        self.bars = 0

    @hookimpl
    def on_bar(self) -> list[Request]:
        self.bars += 1
        if self.bars == 1:
            return [market_order(order_type=OrderType.LIMIT, price=Decimal(1900))]
        return [self.change] if self.bars == 2 else []


@plugin
class Holds:
    """A venue that accepts and then says nothing more."""

    @hookimpl
    def place_order(self, order: Order) -> Accepted:
        return Accepted(order_id=order.id, time=order.time)


@each_misbehaviour
@pytest.mark.parametrize(
    ("hook", "change"),
    [
        ("cancel_order", Cancel(order_id="it-1")),
        ("replace_order", Replace(order_id="it-1", price=Decimal(1910))),
    ],
)
def test_a_broker_that_misbehaves_on_a_change_leaves_a_doubt(hook, change, misbehave):
    plugins = {"it": Changes(change=change), "venue": Holds(), "bad": misbehaving(hook, misbehave=misbehave)}

    seen = told([bar(), bar(number=1), bar(number=2)], **plugins)

    assert [type(change).__name__, "Unknown"] == seen.kinds[4:6]
    assert "it-1" == seen.of(Unknown)[0].order_id


# A venue inside this process.


@each_place
@each_misbehaviour
def test_a_simulated_venue_that_misbehaves_takes_no_fill_from_the_healthy_one(misbehave, first):
    """It stops the trading, for its own fills may be missing; what the other filled stands."""
    alone = told(MARKET[:2], buys=Buys(), healthy=Venue(name="healthy"))
    bad = type("Bad", (Fails,), {})(misbehave)

    seen = told(MARKET[:2], buys=Buys(), **both(bad, Venue(name="healthy"), first=first))

    assert alone.of(Fill) == seen.of(Fill) != []
    assert ["bad"] == [halted.plugin for halted in seen.of(Halted)]
    assert {("bad", "match_orders")} == failures(seen)


class Fails:
    """Misbehaves from the second bar on, when there is something to fill."""

    def __init__(self, misbehave: Misbehave) -> None:
        self.misbehave = misbehave
        self.bars = 0

    @hookimpl
    def match_orders(self, market: Market) -> Any:
        self.bars += 1
        return None if self.bars == 1 else self.misbehave()


# Feeds.


@plugin
class Derives:
    """A coarse bar from each bar, under its own volume."""

    @hookimpl
    def derive_market(self, market: Market) -> list[Bar] | None:
        return [msgspec.structs.replace(market, volume=99.0)] if isinstance(market, Bar) else None


@each_place
@each_misbehaviour
def test_a_feed_that_misbehaves_when_it_derives_takes_no_bar_from_the_others(misbehave, first):
    bad = misbehaving("derive_market", misbehave=misbehave)
    alone = told(buys=Buys(), healthy=Derives(), venue=Venue())

    seen = told(buys=Buys(), **both(bad, Derives(), first=first), venue=Venue())

    assert alone.events == without_failures(seen.events)
    assert {("bad", "derive_market")} == failures(seen)


UNSOUND: dict[str, Any] = {
    "nan": bar(float("nan")),
    "infinity": bar(float("inf")),
    "negative": bar(-1.0),
    "broken": bar(2000.0, high=1900.0),
    "words": msgspec.structs.replace(bar(), close="2000"),
    "nothing": msgspec.structs.replace(bar(), close=None),
    "decimals": msgspec.structs.replace(bar(), close=Decimal(2000)),
    "foreign": bar(symbol="EURUSD"),
    "no_symbol": msgspec.structs.replace(bar(), symbol=["XAUUSD"]),
    "no_time": msgspec.structs.replace(bar(), time=None),
    "crossed": quote(2001.0, 2000.0),
    "late": bar(number=-1),
    "a_number": 42,
    "none": None,
    "a_subclass": type("MyBar", (Bar,), {}, frozen=True)("XAUUSD", 0, 1, 1.0, 1.0, 1.0, 1.0),
    "unprintable": Unprintable(),
    "an_order": market_order(),
}


@plugin
class Feed:
    """Streams nothing of itself: tests hand over what it would have."""

    @hookimpl
    def stream_market(self) -> Iterator[Market]:
        return iter(())


@pytest.mark.parametrize("unsound", UNSOUND.values(), ids=UNSOUND.keys())
def test_what_a_feed_should_not_have_yielded_is_refused_and_the_next_bar_is_taken(unsound):
    alone = told(buys=Buys(), bad=Feed(), venue=Venue())
    engine, seen = engine_with(buys=Buys(), bad=Feed(), venue=Venue())

    engine.handle(MARKET[0], "feed")
    engine.handle(unsound, "bad")
    for each in MARKET[1:]:
        engine.handle(each, "feed")
    engine.finish("done")

    assert ["bad"] == [refused.plugin for refused in seen.of(Refused)]
    assert alone.events == [each for each in seen.events if not isinstance(each, Refused)]


@pytest.mark.parametrize(
    "unsound",
    [UNSOUND[name] for name in ("nan", "infinity", "negative", "broken", "words", "foreign", "no_symbol")],
)
def test_an_unsound_bar_that_a_feed_derives_reaches_no_strategy(unsound):
    alone = told(buys=Buys(), healthy=Derives(), venue=Venue())
    bad = misbehaving("derive_market", misbehave=answers([unsound]))

    seen = told(buys=Buys(), bad=bad, healthy=Derives(), venue=Venue())

    assert alone.events == without_failures(seen.events)
    assert {("bad", "derive_market")} == failures(seen)


# Streams of executions.

BELIEVED = Fill(
    order_id="buys-1",
    trade_id="t-1",
    time=1,
    symbol="XAUUSD",
    side=Side.BUY,
    quantity=Decimal("0.10"),
    price=Decimal(2000),
)
UNBELIEVABLE: dict[str, Any] = {
    "a_number": 42,
    "none": None,
    "unprintable": Unprintable(),
    "an_order": market_order(),
    "a_fill_of_nothing": msgspec.structs.replace(BELIEVED, symbol="EURUSD"),
    "a_fill_without_a_symbol": msgspec.structs.replace(BELIEVED, symbol=None),
    "a_fill_of_no_order": msgspec.structs.replace(BELIEVED, order_id=["buys-1"]),
    "a_fill_at_no_time": msgspec.structs.replace(BELIEVED, time=float("nan")),
    "an_answer_in_no_language": CancelRejected(order_id="buys-1", time=1, reason="\ud800"),
}


@pytest.mark.parametrize("unbelievable", UNBELIEVABLE.values(), ids=UNBELIEVABLE.keys())
def test_a_broker_that_cannot_be_believed_stops_new_risk_and_nothing_else(unbelievable):
    engine, seen = engine_with(buys=Buys(), bad=Holds())
    engine.handle(bar(), "feed")

    engine.handle(unbelievable, "bad")
    engine.handle(BELIEVED, "bad")

    assert {("bad", "stream_executions")} == failures(seen)
    assert ["bad"] == [halted.plugin for halted in seen.of(Halted)]
    assert [msgspec.structs.replace(BELIEVED, strategy="buys")] == seen.of(Fill)
    assert Decimal("0.10") == engine.portfolio.position("XAUUSD", "buys").quantity


# Watchers and notifiers.


@plugin
class Watches:
    """Remembers what it is told."""

    @hookimpl
    def startup(self) -> None:
        self.events: list[Event] = []
        self.alerts: list[Alert] = []

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.events.append(event)

    @hookimpl
    def notify(self, alert: Alert) -> None:
        self.alerts.append(alert)


@each_place
@each_misbehaviour
def test_a_watcher_that_misbehaves_blinds_nobody(misbehave, first):
    alone, beside = Watches(), Watches()
    quiet = told(buys=Buys(), healthy=alone, venue=Venue())

    bad = misbehaving("on_event", misbehave=misbehave)
    seen = told(buys=Buys(), **both(bad, beside, first=first), venue=Venue())

    assert quiet.events == without_failures(seen.events)
    assert alone.events == without_failures(beside.events)
    assert {("bad", "on_event")} == failures(seen)


@each_place
@each_misbehaviour
def test_a_notifier_that_misbehaves_silences_nobody(misbehave, first):
    alert, healthy = Alert("critical", "halted", "", 1), Watches()
    host = Host(unwatched, both(misbehaving("notify", misbehave=misbehave), healthy, first=first))
    host.call("startup")({}, ACCOUNT, 7)

    replies = host.call("notify")(alert)

    assert [alert] == healthy.alerts
    assert [("bad", True)] == [(reply.plugin, reply.error is not None) for reply in replies]


# The beginning and the end.

STARTED = Started(
    version="test",
    seed=7,
    cash=ACCOUNT.cash,
    currency=ACCOUNT.currency,
    instruments=[GOLD],
    configuration="",
    sources={},
)


@each_place
@each_misbehaviour
def test_a_plugin_that_does_not_start_or_stop_keeps_no_other_from_it(misbehave, first):
    @plugin
    class Opens:
        @hookimpl
        def startup(self, account: Account) -> None:
            self.opened = account.cash

        @hookimpl
        def shutdown(self) -> None:
            self.closed = True

    healthy = Opens()
    bad = misbehaving("startup", "shutdown", misbehave=misbehave)
    seen = Recorder()
    engine = Engine(
        Host(unwatched, both(bad, healthy, first=first)), seen, Portfolio(ACCOUNT, {"XAUUSD": GOLD})
    )

    answered = engine.start(STARTED)
    engine.finish("a plugin did not start")

    assert ["bad"] == [reply.plugin for reply in answered]
    assert (ACCOUNT.cash, True) == (healthy.opened, healthy.closed)
    assert ["PluginFailed", "PluginFailed", "Finished"] == seen.kinds
