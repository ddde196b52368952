"""The engine, case by case: what it tells, in which order, and what it never lets happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import (
    Accepted,
    Bar,
    Cancel,
    Canceled,
    CancelRejected,
    Event,
    Execution,
    Expired,
    Fill,
    Finished,
    Halted,
    Instrument,
    Market,
    Objection,
    Order,
    OrderStatus,
    OrderType,
    Placed,
    PluginFailed,
    Portfolio,
    Quote,
    Refused,
    Rejected,
    Replace,
    Replaced,
    Request,
    Side,
    Started,
    Unknown,
    Vetoed,
    bracket,
    hookimpl,
    plugin,
)
from nicegold.engine import Engine
from nicegold.host import Host
from nicegold.testing import ACCOUNT, GOLD, Recorder, bar, encoded, engine_with, quote, unwatched

STARTED = Started(
    version="test",
    seed=7,
    cash=ACCOUNT.cash,
    currency=ACCOUNT.currency,
    instruments=[GOLD],
    configuration="",
    sources={},
)


def buy(lots: str = "1", **terms: Any) -> Order:
    return Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal(lots), **terms)


def sell(lots: str = "1", **terms: Any) -> Order:
    return Order(symbol="XAUUSD", side=Side.SELL, quantity=Decimal(lots), **terms)


def limit(order: Order, price: str = "1900") -> Order:
    return msgspec.structs.replace(order, order_type=OrderType.LIMIT, price=Decimal(price))


@plugin
class Says:
    """A strategy that says at each bar, and then at each fill, what it was told to say next."""

    on_bars: list[Any] = field(default_factory=list)
    on_fills: list[Any] = field(default_factory=list)
    seen: list[Event] = field(default_factory=list)

    @hookimpl
    def on_bar(self, bar: Bar) -> Any:
        self.seen.append(bar)
        return self.on_bars.pop(0) if self.on_bars else None

    @hookimpl
    def on_quote(self, quote: Quote) -> Any:
        self.seen.append(quote)
        return self.on_bars.pop(0) if self.on_bars else None

    @hookimpl
    def on_fill(self, fill: Fill) -> Any:
        self.seen.append(fill)
        return self.on_fills.pop(0) if self.on_fills else None


def placed(asked: Request) -> Placed:
    return Placed(order_id=asked.id if isinstance(asked, Order) else asked.order_id)


@plugin
class Desk:
    """A broker that takes everything, remembers it, and answers as *answer* says."""

    answer: Callable[[Any], Any] = placed
    asked: list[Request] = field(default_factory=list)

    @hookimpl
    def place_order(self, order: Order) -> Any:
        self.asked.append(order)
        return self.answer(order)

    @hookimpl
    def cancel_order(self, cancel: Cancel) -> Any:
        self.asked.append(cancel)
        return self.answer(cancel)

    @hookimpl
    def replace_order(self, replace: Replace) -> Any:
        self.asked.append(replace)
        return self.answer(replace)


@plugin
class Objects:
    """A risk check that objects to orders of more than *most* lots, saying *why*."""

    why: str
    most: Decimal = Decimal(0)
    asked: list[Order] = field(default_factory=list)

    @hookimpl
    def check_order(self, order: Order) -> str | None:
        self.asked.append(order)
        return self.why if order.quantity > self.most else None


def accepted(order_id: str) -> Accepted:
    return Accepted(order_id=order_id, time=1)


def filled(order_id: str, lots: str = "1", side: Side = Side.BUY, trade: str = "t-1", **terms: Any) -> Fill:
    terms.setdefault("symbol", "XAUUSD")
    return Fill(
        order_id=order_id,
        trade_id=trade,
        time=1,
        side=side,
        quantity=Decimal(lots),
        price=Decimal(2000),
        **terms,
    )


def run(engine: Engine, *events: Event) -> None:
    for event in events:
        engine.handle(event, "venue")


def bars(count: int) -> list[Event]:
    return [bar(2000.0, number=number) for number in range(count)]


def engine_that(
    record: Callable[[Event], None],
    *,
    flatten: bool = False,
    cause: list[int] | None = None,
    **plugins: object,
) -> Engine:
    """An engine with a record port of the test's own, started."""
    engine = Engine(
        Host(unwatched, plugins), record, Portfolio(ACCOUNT, {"XAUUSD": GOLD}), flatten=flatten, cause=cause
    )
    engine.start(STARTED)
    return engine


# Ids and labels.


def test_ids_are_the_strategys_name_and_a_number_of_its_own():
    engine, seen = engine_with(
        a=Says(on_bars=[[buy(), buy()], [buy()]]), b=Says(on_bars=[[buy()]]), desk=Desk()
    )

    run(engine, *bars(2))

    assert ["a-1", "a-2", "b-1", "a-3"] == [order.id for order in seen.of(Order)]
    assert {"a", "b"} == {order.strategy for order in seen.of(Order)}


def test_a_strategy_cannot_choose_its_name_its_time_or_its_id():
    engine, seen = engine_with(a=Says(on_bars=[[buy(id="mine", strategy="b", time=5)]]), desk=Desk())

    run(engine, bar())

    (order,) = seen.of(Order)
    assert ("a-1", "a", bar().time) == (order.id, order.strategy, order.time)


def test_the_labels_of_a_bracket_become_ids():
    exits = bracket(buy(), stop_loss=Decimal(1990), take_profit=Decimal(2010))
    engine, seen = engine_with(s=Says(on_bars=[exits]), desk=Desk())

    run(engine, bar())

    entry, stop, target = seen.of(Order)
    assert ("s-1", "s-2", "s-3") == (entry.id, stop.id, target.id)
    assert ("", "s-1", "s-1") == (entry.parent, stop.parent, target.parent)
    assert entry.oco == "" != stop.oco == target.oco


def test_two_brackets_in_one_list_do_not_cancel_each_others_exits():
    first = bracket(buy(), stop_loss=Decimal(1990), take_profit=Decimal(2010))
    second = bracket(sell(), stop_loss=Decimal(2010), take_profit=Decimal(1990))
    engine, seen = engine_with(s=Says(on_bars=[[*first, *second]]), desk=Desk())

    run(engine, bar())

    orders = seen.of(Order)
    assert ["", "s-1", "s-1", "", "s-4", "s-4"] == [order.parent for order in orders]
    assert orders[1].oco == orders[2].oco
    assert orders[4].oco == orders[5].oco
    assert orders[1].oco != orders[4].oco


def test_two_entries_may_exclude_each_other_and_have_brackets_of_their_own():
    above = bracket(limit(buy(oco="side")), stop_loss=Decimal(1890), take_profit=Decimal(2010))
    below = bracket(limit(sell(oco="side"), "2100"), stop_loss=Decimal(2110), take_profit=Decimal(1990))
    engine, seen = engine_with(s=Says(on_bars=[[*above, *below]]), desk=Desk())

    run(engine, bar())

    orders = seen.of(Order)
    assert orders[0].oco == orders[3].oco != ""
    assert 3 == len({order.oco for order in orders})


def test_labels_are_those_of_one_list():
    engine, seen = engine_with(
        s=Says(on_bars=[[buy(oco="x", id="a")], [buy(oco="x", parent="a")]]), desk=Desk()
    )

    run(engine, *bars(2))

    assert 1 == len(seen.of(Order))
    assert [Objection("engine", "its parent a is not working")] == seen.of(Vetoed)[0].objections


def test_an_exit_may_be_given_to_an_entry_that_already_works():
    exit_of = sell(parent="s-1", reduce_only=True)
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy())], [exit_of]]), desk=Desk())

    run(engine, *bars(2))

    assert ["s-1", "s-2"] == [order.id for order in seen.of(Order)]


def test_a_parent_that_is_vetoed_takes_its_children_with_it():
    orders = bracket(buy("2"), stop_loss=Decimal(1990), take_profit=Decimal(2010))
    small = [msgspec.structs.replace(each, quantity=Decimal(1)) for each in orders[1:]]
    check = Objects(why="too large", most=Decimal(1))
    engine, seen = engine_with(s=Says(on_bars=[[orders[0], *small]]), check=check, desk=Desk())

    run(engine, bar())

    assert [] == seen.of(Order)
    assert [
        [Objection("check", "too large")],
        [Objection("engine", "its parent s-1 is not working")],
        [Objection("engine", "its parent s-1 is not working")],
    ] == [veto.objections for veto in seen.of(Vetoed)]


def test_a_parent_that_is_rejected_takes_its_children_with_it():
    orders = bracket(buy(), stop_loss=Decimal(1990), take_profit=Decimal(2010))
    desk = Desk(answer=lambda order: Rejected(order_id=order.id, time=1, reason="no"))
    engine, seen = engine_with(s=Says(on_bars=[orders]), desk=desk)

    run(engine, bar())

    assert ["Bar", "Order", "Rejected", "Vetoed", "Vetoed"] == seen.kinds


# Objections.


def test_a_veto_carries_everybody_who_objected():
    engine, seen = engine_with(
        s=Says(on_bars=[[buy()]]),
        a=Objects(why="size"),
        b=Objects(why="mood", most=Decimal(9)),
        c=Objects(why="hour"),
    )

    run(engine, bar())

    (veto,) = seen.of(Vetoed)
    assert [Objection("a", "size"), Objection("c", "hour")] == veto.objections
    assert ("s-1", bar().time) == (veto.order.id, veto.time)
    assert engine.portfolio.working() == []


def test_an_order_that_makes_no_sense_is_vetoed_before_risk_is_asked():
    check = Objects(why="size", most=Decimal(9))
    wrong = Order(
        symbol="XAUUSD",
        side=Side.BUY,
        quantity=Decimal("0.105"),
        order_type=OrderType.STOP_LIMIT,
        price=Decimal("2000.001"),
        stop_price=Decimal("1999.999"),
    )
    foreign = Order(symbol="EURUSD", side=Side.BUY, quantity=Decimal(1))
    engine, seen = engine_with(s=Says(on_bars=[[wrong, foreign]]), check=check, desk=Desk())

    run(engine, bar())

    assert [
        [
            "quantity 0.105 is not in steps of 0.01; use to_quantity",
            "price 2000.001 is not on the tick of 0.01; use to_price",
            "stop_price 1999.999 is not on the tick of 0.01; use to_price",
        ],
        ["EURUSD is not an instrument of this run"],
    ] == [[each.reason for each in veto.objections] for veto in seen.of(Vetoed)]
    assert [] == check.asked


def test_an_order_that_nobody_could_value_is_vetoed():
    yen = Instrument(symbol="GBPJPY", tick_size=Decimal("0.001"), currency="JPY")
    order = Order(symbol="GBPJPY", side=Side.BUY, quantity=Decimal(1))
    engine, seen = engine_with(
        instruments={"XAUUSD": GOLD, "GBPJPY": yen}, s=Says(on_bars=[[order]]), desk=Desk()
    )

    run(engine, bar())

    reason = "no rate from JPY to USD: add a feed for the instrument JPYUSD or USDJPY"
    assert [Objection("engine", reason)] == seen.of(Vetoed)[0].objections


AMOUNTS = st.decimals("1E-12", "9E+12", allow_nan=False, allow_infinity=False)


@given(AMOUNTS, AMOUNTS)
def test_no_amount_is_too_odd_to_be_answered(quantity, price):
    order = Order(symbol="XAUUSD", side=Side.BUY, quantity=quantity, order_type=OrderType.LIMIT, price=price)
    engine, seen = engine_with(s=Says(on_bars=[[order]]), desk=Desk())

    run(engine, bar())

    on_grid = quantity % GOLD.quantity_step == 0 and price % GOLD.tick_size == 0
    assert ["Bar", "Order", "Placed"] if on_grid else ["Bar", "Vetoed"] == seen.kinds


@plugin
class Limit:
    """Objects to whatever could leave us holding more than *limit*."""

    limit: Decimal

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        after = portfolio.exposure_after(order)
        return None if abs(after) <= self.limit else f"would hold {after}"


def test_two_strategies_cannot_both_pass_a_limit_that_both_together_break():
    engine, seen = engine_with(
        a=Says(on_bars=[[buy("3")]]), b=Says(on_bars=[[buy("3")]]), limit=Limit(limit=Decimal(5)), desk=Desk()
    )

    run(engine, bar())

    assert ["a-1"] == [order.id for order in seen.of(Order)]
    assert [Objection("limit", "would hold 6")] == seen.of(Vetoed)[0].objections


def test_all_strategies_are_asked_before_any_order_leaves():
    portfolio_seen: list[int] = []

    @plugin
    class Looks:
        @hookimpl
        def on_bar(self, portfolio: Portfolio) -> None:
            portfolio_seen.append(len(portfolio.working()))

    engine, _ = engine_with(s=Says(on_bars=[[buy()]]), looks=Looks(), desk=Desk())

    run(engine, *bars(2))

    assert [0, 1] == portfolio_seen


# What brokers answer.


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda order: Placed(order_id=order.id), OrderStatus.PENDING_NEW),
        (lambda order: accepted(order.id), OrderStatus.NEW),
        (lambda order: Placed(order_id="another"), OrderStatus.UNKNOWN),
        (lambda order: accepted(""), OrderStatus.UNKNOWN),
        (lambda order: Rejected(order_id="another", time=1, reason="no"), OrderStatus.UNKNOWN),
        (lambda order: 1 / 0, OrderStatus.UNKNOWN),
        (lambda order: "sent", OrderStatus.UNKNOWN),
    ],
)
def test_what_a_broker_answers_is_the_orders_state_and_what_it_leaves_open_is_unknown(answer, status):
    engine, _ = engine_with(s=Says(on_bars=[[buy()]]), desk=Desk(answer=answer))

    run(engine, bar())

    (state,) = engine.portfolio.working()
    assert status is state.status


def test_an_unknown_order_says_whose_answer_left_it_open():
    engine, seen = engine_with(s=Says(on_bars=[[buy()]]), desk=Desk(answer=lambda _: accepted("x")))

    run(engine, bar())

    assert seen.of(Unknown)[0].reason.startswith("desk failed: ValueError: answered Accepted(order_id='x'")


def test_an_order_that_no_broker_takes_is_rejected():
    engine, seen = engine_with(s=Says(on_bars=[[buy()]]), desk=Desk(answer=lambda _: None))

    run(engine, bar())

    assert "no broker takes it" == seen.of(Rejected)[0].reason
    assert [] == engine.portfolio.working()


each_change = pytest.mark.parametrize(
    "change",
    [Cancel(order_id="s-1"), Replace(order_id="s-1", quantity=Decimal(2))],
    ids=["cancel", "replace"],
)


@each_change
@pytest.mark.parametrize("answer", [Placed(order_id="another"), 42], ids=["another_order", "garbage"])
def test_a_change_that_is_answered_for_another_order_is_a_doubt(change, answer):
    desk = Desk()
    engine, _ = engine_with(s=Says(on_bars=[[limit(buy())], [change]]), desk=desk)
    run(engine, bar(), accepted("s-1"))
    desk.answer = lambda _: answer

    run(engine, bar(number=1))

    (state,) = engine.portfolio.working()
    assert OrderStatus.UNKNOWN is state.status


@each_change
def test_a_change_that_no_broker_takes_leaves_the_order_resting(change):
    desk = Desk()
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy())], [change]]), desk=desk)
    run(engine, bar(), accepted("s-1"))
    desk.answer = lambda _: None

    run(engine, bar(number=1))

    (state,) = engine.portfolio.working()
    assert (OrderStatus.NEW, Decimal(1)) == (state.status, state.remaining)
    assert [("no broker takes it", True)] == [(each.reason, each.sent) for each in seen.of(CancelRejected)]


# Changes.


def test_a_cancel_is_told_before_the_broker_is_asked():
    desk = Desk()
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy())], [Cancel(order_id="s-1")]]), desk=desk)

    run(engine, bar(), accepted("s-1"), bar(number=1), Canceled(order_id="s-1", time=1))

    assert ["Bar", "Order", "Placed", "Accepted", "Bar", "Cancel", "Canceled"] == seen.kinds
    assert (
        Cancel(order_id="s-1", strategy="s", time=bar(number=1).time) == desk.asked[-1] == seen.of(Cancel)[0]
    )
    assert [] == engine.portfolio.working()


@pytest.mark.parametrize("kind", [Cancel, Replace])
@pytest.mark.parametrize(
    ("order_id", "reason"),
    [
        ("a-1", "the order belongs to a"),
        ("b-1", "too late: the order is not working"),
        ("never", "too late: the order is not working"),
    ],
)
def test_nobody_changes_what_is_not_theirs_or_not_there(kind, order_id, reason):
    desk = Desk()
    engine, seen = engine_with(
        a=Says(on_bars=[[limit(buy())]]), b=Says(on_bars=[[buy()], [kind(order_id=order_id)]]), desk=desk
    )
    run(engine, bar(), accepted("a-1"), accepted("b-1"), Canceled(order_id="b-1", time=1))
    asked = len(desk.asked)

    run(engine, bar(number=1))

    assert [(order_id, reason, False)] == [
        (each.order_id, each.reason, each.sent) for each in seen.of(CancelRejected)
    ]
    assert asked == len(desk.asked)


def test_a_request_of_somebody_else_does_not_settle_the_change_of_the_owner():
    """The larger terms of a pending replace must keep counting."""
    grow = Replace(order_id="a-1", quantity=Decimal(5))
    engine, _ = engine_with(
        a=Says(on_bars=[[limit(buy())], [grow]]),
        b=Says(on_bars=[[], [], [Cancel(order_id="a-1")]]),
        desk=Desk(),
    )

    run(engine, bar(), accepted("a-1"), bar(number=1), bar(number=2))

    (state,) = engine.portfolio.working()
    assert (OrderStatus.PENDING_REPLACE, Decimal(5)) == (state.status, state.remaining)


def test_a_replace_is_checked_like_an_order_and_then_asked():
    desk, check = Desk(), Objects(why="too large", most=Decimal(2))
    grow, more = (Replace(order_id="s-1", quantity=Decimal(lots)) for lots in (2, 3))
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy())], [grow], [more]]), check=check, desk=desk)

    run(engine, bar(), accepted("s-1"), bar(number=1))
    run(engine, Replaced(order_id="s-1", time=1, quantity=Decimal(2)), bar(number=2))

    assert [1, 2, 3] == [order.quantity for order in check.asked]
    assert [Decimal(2)] == [each.quantity for each in desk.asked if isinstance(each, Replace)]
    (veto,) = seen.of(Vetoed)
    assert ("s-1", Decimal(3), bar(number=2).time) == (veto.order.id, veto.order.quantity, veto.time)
    assert Decimal(2) == engine.portfolio.working()[0].remaining


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": Decimal(1900)}, "order for XAUUSD: a market order takes no price"),
        ({"stop_price": Decimal(1900)}, "order for XAUUSD: a market order takes no stop_price"),
    ],
)
def test_terms_that_the_order_cannot_have_are_refused(change, reason):
    engine, seen = engine_with(s=Says(on_bars=[[buy()], [Replace(order_id="s-1", **change)]]), desk=Desk())

    run(engine, bar(), accepted("s-1"), bar(number=1))

    assert [reason] == [each.reason for each in seen.of(CancelRejected)]
    assert engine.portfolio.working()[0].is_resting


def test_off_grid_terms_are_vetoed():
    change = Replace(order_id="s-1", quantity=Decimal("1.005"))
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy())], [change]]), desk=Desk())

    run(engine, bar(), accepted("s-1"), bar(number=1))

    assert (
        "quantity 1.005 is not in steps of 0.01; use to_quantity" == seen.of(Vetoed)[0].objections[0].reason
    )


@pytest.mark.parametrize(
    ("answer", "first", "status"),
    [
        (lambda order: Placed(order_id=order.id), [], "pending_new"),
        (lambda order: 1 / 0, [], "unknown"),
        (lambda order: accepted(order.id), [[Cancel(order_id="s-1")]], "pending_cancel"),
        (lambda order: accepted(order.id), [[Replace(order_id="s-1")]], "pending_replace"),
    ],
)
def test_terms_change_only_where_the_venue_owes_no_answer(answer, first, status):
    """Two open requests could leave larger terms in force than the ones we count."""
    desk = Desk(answer=answer)
    more = Replace(order_id="s-1", quantity=Decimal(9))
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy())], *first, [more]]), desk=desk)
    run(engine, bar())
    desk.answer = placed

    run(engine, *bars(3)[1:])

    assert f"too early: the order is {status}" == seen.of(CancelRejected)[0].reason
    assert more not in desk.asked
    assert Decimal(1) == engine.portfolio.working()[0].remaining


def test_an_exit_can_be_moved_after_its_parent_has_filled():
    orders = bracket(buy(), stop_loss=Decimal(1990), take_profit=Decimal(2010))
    move = Replace(order_id="s-2", stop_price=Decimal(1995))
    desk = Desk()
    engine, seen = engine_with(s=Says(on_bars=[orders, [move]]), desk=desk)

    run(engine, bar(), *map(accepted, ("s-1", "s-2", "s-3")), filled("s-1"), bar(number=1))

    assert [] == seen.of(Vetoed)
    assert Decimal(1995) == desk.asked[-1].stop_price  # type: ignore[union-attr]  # the replace


# Halts.


@plugin
class Halts:
    """Asks for a halt once we hold *lots* or more."""

    lots: Decimal

    @hookimpl
    def check_portfolio(self, portfolio: Portfolio) -> str | None:
        return "held too much" if abs(portfolio.position("XAUUSD").quantity) >= self.lots else None


def test_a_halt_cancels_entries_and_leaves_exits():
    stop = sell(reduce_only=True, order_type=OrderType.STOP, stop_price=Decimal(1990))
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy()), stop]]), desk=Desk())
    run(engine, bar())

    engine.halt("operator", "lunch")

    assert ["Halted", "Cancel"] == seen.kinds[-2:]
    assert [("s-1", "engine")] == [(cancel.order_id, cancel.strategy) for cancel in seen.of(Cancel)]
    assert "lunch" == engine.portfolio.halted


def test_a_second_halt_does_nothing():
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy())]]), desk=Desk())
    run(engine, bar())
    engine.halt("operator", "lunch")
    told = len(seen.events)

    engine.halt("loss", "lost too much")

    assert told == len(seen.events)
    assert "lunch" == engine.portfolio.halted


def test_once_halted_nothing_leaves_but_what_reduces():
    engine, seen = engine_with(
        s=Says(on_bars=[[buy("2"), limit(buy())], [buy(), sell("2", reduce_only=True)]]), desk=Desk()
    )
    run(engine, bar(), accepted("s-1"), accepted("s-2"), filled("s-1", "2"))

    engine.halt("operator", "lunch")
    run(engine, bar(number=1))

    assert [Objection("engine", "halted: lunch")] == seen.of(Vetoed)[0].objections
    assert ["s-1", "s-2", "s-4"] == [order.id for order in seen.of(Order)]


def test_once_halted_no_entry_is_changed():
    change = Replace(order_id="s-1", quantity=Decimal(2))
    desk = Desk()
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy())], [change]]), desk=desk)
    run(engine, bar(), accepted("s-1"))

    engine.halt("operator", "lunch")
    run(engine, CancelRejected(order_id="s-1", time=1, reason="no"), bar(number=1))

    assert [Objection("engine", "halted: lunch")] == seen.of(Vetoed)[0].objections
    assert not any(isinstance(each, Replace) for each in desk.asked)


def test_risk_is_asked_after_every_fill_and_every_mark():
    engine, seen = engine_with(s=Says(on_bars=[[buy()]]), risk=Halts(lots=Decimal(1)), desk=Desk())

    run(engine, bar(), filled("s-1"))

    assert ["Bar", "Order", "Placed", "Fill", "Halted"] == seen.kinds
    assert ("risk", "held too much") == (seen.of(Halted)[0].plugin, seen.of(Halted)[0].reason)


def test_a_halt_comes_before_what_a_strategy_does_about_the_fill():
    engine, seen = engine_with(
        s=Says(on_bars=[[buy()]], on_fills=[[buy()]]), risk=Halts(lots=Decimal(1)), desk=Desk()
    )

    run(engine, bar(), filled("s-1"))

    assert ["Fill", "Halted", "Vetoed"] == seen.kinds[3:]


def test_a_halt_holds_positions_unless_it_is_told_to_flatten():
    desk, seen = Desk(), Recorder()
    engine = engine_that(seen, s=Says(on_bars=[[buy()]]), desk=desk)
    run(engine, bar(), filled("s-1"))

    engine.halt("operator", "lunch")

    assert ["s-1"] == [order.id for order in seen.of(Order)]


@pytest.mark.parametrize(("opening", "closing"), [(Side.BUY, Side.SELL), (Side.SELL, Side.BUY)])
def test_a_halt_that_flattens_closes_what_is_open_past_the_checks(opening, closing):
    check = Objects(why="never", most=Decimal(9))
    seen = Recorder()
    order = buy("2") if opening is Side.BUY else sell("2")
    engine = engine_that(seen, flatten=True, s=Says(on_bars=[[order]]), check=check, desk=Desk())
    run(engine, bar(), filled("s-1", "2", opening))
    check.most = Decimal(0)

    engine.halt("operator", "lunch")

    closes = seen.of(Order)[-1]
    assert ("engine-1", "engine", closing) == (closes.id, closes.strategy, closes.side)
    assert (Decimal(2), True, OrderType.MARKET) == (closes.quantity, closes.reduce_only, closes.order_type)


def test_an_entry_that_fills_while_its_cancel_is_on_the_way_is_closed_too():
    seen = Recorder()
    engine = engine_that(seen, flatten=True, s=Says(on_bars=[[limit(buy("3"))]]), desk=Desk())
    run(engine, bar(), accepted("s-1"))

    engine.halt("operator", "lunch")
    run(engine, filled("s-1", "3"), filled("engine-1", "3", Side.SELL, "t-2"))

    assert [Decimal(3)] == [order.quantity for order in seen.of(Order) if order.strategy == "engine"]
    assert Decimal(0) == engine.portfolio.position("XAUUSD").quantity
    assert [] == engine.portfolio.working()


def test_flattening_asks_for_no_lot_twice():
    seen = Recorder()
    engine = engine_that(seen, flatten=True, s=Says(on_bars=[[buy("2")], [limit(buy("3"))]]), desk=Desk())
    run(engine, bar(), filled("s-1", "2"), bar(number=1), accepted("s-2"))

    engine.halt("operator", "lunch")
    run(engine, filled("engine-1", "0.5", Side.SELL, "t-2"), filled("s-2", "3", trade="t-3"))
    run(engine, filled("engine-1", "1.5", Side.SELL, "t-4"), filled("engine-2", "3", Side.SELL, "t-5"))

    assert [2, 3] == [order.quantity for order in seen.of(Order) if order.strategy == "engine"]
    assert Decimal(0) == engine.portfolio.position("XAUUSD").quantity


def test_a_stream_that_dies_halts():
    engine, seen = engine_with(s=Says(), desk=Desk())

    engine.handle(PluginFailed(plugin="desk", hook="stream_executions", error="timeout"))

    assert ["PluginFailed", "Halted"] == seen.kinds
    assert "desk.stream_executions failed: timeout" == engine.portfolio.halted


def test_a_simulated_venue_that_fails_halts():
    @plugin
    class Broken:
        @hookimpl
        def match_orders(self) -> None:
            raise RuntimeError("index out of range")

    engine, seen = engine_with(s=Says(on_bars=[[buy()]]), venue=Broken(), desk=Desk())

    run(engine, bar())

    assert ["Bar", "PluginFailed", "Halted", "Vetoed"] == seen.kinds
    assert ("venue", "failed: RuntimeError: index out of range") == (
        seen.of(Halted)[0].plugin,
        seen.of(Halted)[0].reason,
    )


# The market.


def test_time_does_not_run_backwards_for_a_symbol():
    other = msgspec.structs.replace(GOLD, symbol="XAGUSD")
    strategy = Says()
    engine, seen = engine_with(instruments={"XAUUSD": GOLD, "XAGUSD": other}, s=strategy)

    run(engine, bar(number=5), bar(number=4), bar(number=5), bar(number=3, symbol="XAGUSD"))

    assert ["Bar", "Refused", "Bar", "Bar"] == seen.kinds
    assert seen.of(Refused)[0].reason.startswith("time runs backwards: Bar(")
    assert 3 == len(strategy.seen)


def test_a_bar_that_cannot_be_is_refused_by_the_feeds_name_and_leaves_the_last_price():
    engine, seen = engine_with(s=Says())
    run(engine, bar(2000.0))

    engine.handle(bar(float("nan"), number=1), "csv")

    (refused,) = seen.of(Refused)
    assert ("csv", True) == (refused.plugin, refused.reason.startswith("these cannot be prices: Bar("))
    assert 2000.0 == engine.portfolio.price("XAUUSD")


def test_a_refusal_can_be_told_again():
    engine, seen = engine_with(s=Says())
    refused = Refused(plugin="csv", reason="these cannot be prices")

    engine.handle(refused)

    assert [refused] == seen.of(Refused)


def test_a_strategy_sees_a_coarser_bar_after_the_one_that_completes_it():
    coarse = bar(length=120_000_000_000)

    @plugin
    class Resamples:
        @hookimpl
        def derive_market(self, market: Market) -> list[Bar] | None:
            return [coarse] if market.time == coarse.time else None

    strategy = Says()
    engine, seen = engine_with(s=strategy, r=Resamples())

    run(engine, *bars(2))

    assert [*bars(2), coarse] == strategy.seen
    assert ["Bar", "Bar"] == seen.kinds


def test_orders_meet_the_market_before_strategies_do():
    """What a strategy asks for at a close cannot fill at that close."""
    log: list[str] = []

    @plugin
    class Order_:
        @hookimpl
        def match_orders(self) -> None:
            log.append("match_orders")

        @hookimpl
        def check_portfolio(self) -> None:
            log.append("check_portfolio")

        @hookimpl
        def on_bar(self) -> None:
            log.append("on_bar")

        @hookimpl
        def on_quote(self) -> None:
            log.append("on_quote")

        @hookimpl
        def derive_market(self) -> None:
            log.append("derive_market")

        @hookimpl
        def on_event(self) -> None:
            log.append("on_event")

    engine, _ = engine_with(it=Order_())
    log.clear()

    run(engine, bar(), quote(2000.0, 2000.2, number=100))

    assert [
        *["on_event", "match_orders", "check_portfolio", "on_bar", "derive_market"],
        *["on_event", "match_orders", "check_portfolio", "on_quote", "derive_market"],
    ] == log


# Fills.


def test_a_fill_is_its_strategys_whoever_says_otherwise():
    engine, seen = engine_with(s=Says(on_bars=[[buy()]]), desk=Desk())

    run(engine, bar(), filled("s-1", strategy="other"), filled("manual", trade="t-2", strategy="s"))

    assert ["s", ""] == [fill.strategy for fill in seen.of(Fill)]
    assert Decimal(1) == engine.portfolio.position("XAUUSD", "s").quantity
    assert Decimal(2) == engine.portfolio.position("XAUUSD").quantity


def test_a_fill_after_the_end_is_still_its_strategys():
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy())]]), desk=Desk())

    run(engine, bar(), accepted("s-1"), Canceled(order_id="s-1", time=1), filled("s-1"))

    assert ["s"] == [fill.strategy for fill in seen.of(Fill)]
    assert Decimal(1) == engine.portfolio.position("XAUUSD", "s").quantity


@pytest.mark.parametrize("kind", [Canceled, Expired])
def test_an_order_that_ended_with_more_filled_than_was_told_is_in_doubt_until_that_is(kind):
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy("3"))]]), desk=Desk())
    ended = kind(order_id="s-1", time=4, filled=Decimal(2))

    run(engine, bar(), accepted("s-1"), filled("s-1"), ended)

    assert [("s-1", "it has ended, the venue has filled 2 of it and told of 1", 4)] == [
        (each.order_id, each.reason, each.time) for each in seen.of(Unknown)
    ]
    assert [OrderStatus.UNKNOWN] == [each.status for each in engine.portfolio.orders.values()]
    # The two lots that are not told of may have filled.
    assert Decimal(4) == engine.portfolio.exposure_after(buy())

    run(engine, filled("s-1", trade="t-2"), ended)

    assert {} == engine.portfolio.orders
    assert 1 == len(seen.of(Unknown))


def test_a_trade_that_is_told_twice_is_recorded_twice_and_acted_on_once():
    strategy = Says(on_bars=[[buy()]], on_fills=[[sell()], [sell()]])
    engine, seen = engine_with(s=strategy, desk=Desk())

    run(engine, bar(), filled("s-1"), filled("s-1"))

    assert 2 == len(seen.of(Fill))
    assert ["s-1", "s-2"] == [order.id for order in seen.of(Order)]
    assert Decimal(1) == engine.portfolio.position("XAUUSD").quantity


def test_every_strategy_hears_of_a_fill():
    other = Says()
    engine, _ = engine_with(s=Says(on_bars=[[buy()]]), o=other, desk=Desk())

    run(engine, bar(), filled("s-1"))

    assert ["s"] == [each.strategy for each in other.seen if isinstance(each, Fill)]


@pytest.mark.parametrize("terms", [{"side": Side.SELL}, {"symbol": "XAGUSD"}], ids=["side", "symbol"])
def test_a_fill_that_is_not_what_the_order_asked_for_counts_and_halts(terms):
    other = msgspec.structs.replace(GOLD, symbol="XAGUSD")
    engine, seen = engine_with(
        instruments={"XAUUSD": GOLD, "XAGUSD": other}, s=Says(on_bars=[[buy()]]), desk=Desk()
    )

    run(engine, bar(), filled("s-1", **terms))

    assert ["Bar", "Order", "Placed", "Fill", "Halted"] == seen.kinds
    assert "venue reports a fill that is not what s-1 asked for" == engine.portfolio.halted


def test_a_fill_that_cannot_be_booked_halts():
    engine, seen = engine_with(s=Says(on_bars=[[buy()]]), desk=Desk())

    run(engine, bar(), filled("s-1", symbol="EURUSD"))

    assert ["PluginFailed", "Halted", "Cancel"] == seen.kinds[-3:]
    assert (
        "reports a fill that cannot be booked: EURUSD is not an instrument of this run"
        == seen.of(PluginFailed)[0].error
    )


# The record.


@pytest.mark.parametrize("kind", [Order, Cancel, Replace])
def test_what_is_not_on_record_does_not_leave(kind):
    full: list[type[Event]] = []

    def record(event: Event) -> None:
        if type(event) in full:
            raise OSError("disk full")

    changes: list[Request] = [buy(), Cancel(order_id="s-1"), Replace(order_id="s-1")]
    change = next(each for each in changes if type(each) is kind)
    desk = Desk()
    engine = engine_that(record, s=Says(on_bars=[[limit(buy())], [change]]), desk=desk)
    run(engine, bar(), accepted("s-1"))
    full.append(kind)

    with pytest.raises(OSError, match="disk full"):
        run(engine, bar(number=1))

    assert 1 == len(desk.asked)
    assert 1 == len(engine.portfolio.working())
    assert engine.portfolio.working()[0].is_resting


def test_what_is_told_is_numbered_and_the_cause_is_the_input_in_hand():
    cause, causes, seen = [0], [], Recorder()

    def record(event: Event) -> None:
        seen(event)
        causes.append(cause[0])

    engine = engine_that(record, cause=cause, s=Says(on_bars=[[buy()], [buy()]]), desk=Desk())
    run(engine, *bars(2))

    assert ["Bar", "Order", "Placed"] * 2 == seen.kinds
    assert [0, 2, 2, 2, 5, 5, 5] == causes
    assert len(seen.events) == engine.sequence


@given(st.lists(st.floats(1900, 2100), min_size=1, max_size=20))
def test_the_same_inputs_give_the_same_bytes(closes):
    def told() -> bytes:
        strategy = Says(on_bars=[[buy(), limit(sell())] for _ in closes])
        engine, seen = engine_with(s=strategy, limit=Limit(limit=Decimal(3)), desk=Desk())
        run(engine, *[bar(close, number=number) for number, close in enumerate(closes)])
        engine.finish("done")
        return encoded(seen.events)

    assert told() == told()


# Watchers, from the beginning to the end.


@plugin
class Watches:
    """Says in *log* what happens to it, and cannot be told of anything while it is closed."""

    log: list[str] = field(default_factory=list)
    is_open: bool = False

    @hookimpl
    def startup(self) -> None:
        self.is_open = True
        self.log.append("startup")

    @hookimpl
    def shutdown(self) -> None:
        self.is_open = False
        self.log.append("shutdown")

    @hookimpl
    def on_event(self, event: Event) -> None:
        assert self.is_open
        self.log.append(type(event).__name__)


def test_a_watcher_is_told_of_everything_between_its_startup_and_its_shutdown():
    watcher = Watches()
    engine, seen = engine_with(w=watcher, s=Says(on_bars=[[buy()]]), desk=Desk())

    run(engine, bar())
    engine.finish("done")

    assert ["startup", "Started", "Bar", "Order", "Placed", "Finished", "shutdown"] == watcher.log
    assert ["Bar", "Order", "Placed", "Finished"] == seen.kinds
    assert "Started" == type(seen.events[0]).__name__


def test_the_last_event_on_record_says_that_the_run_ended_on_purpose():
    @plugin
    class Stays:
        @hookimpl
        def shutdown(self) -> None:
            raise OSError("device busy")

    watcher = Watches()
    engine, seen = engine_with(stays=Stays(), w=watcher)

    engine.finish("done")

    assert ["PluginFailed", "Finished"] == seen.kinds
    assert Finished(reason="done") == seen.events[-1]
    assert "failed: OSError: device busy" == seen.of(PluginFailed)[0].error
    assert ["startup", "Started", "Finished", "shutdown"] == watcher.log


def test_a_failed_startup_is_answered_and_told():
    @plugin
    class Fails:
        @hookimpl
        def startup(self) -> None:
            raise OSError("no such file")

    watcher, seen = Watches(), Recorder()
    engine = Engine(
        Host(unwatched, {"csv": Fails(), "w": watcher}), seen, Portfolio(ACCOUNT, {"XAUUSD": GOLD})
    )

    failures = engine.start(STARTED)

    assert ["csv"] == [reply.plugin for reply in failures]
    assert ["PluginFailed"] == seen.kinds
    assert ["startup", "Started", "PluginFailed"] == watcher.log


def test_watchers_that_fail_on_everything_do_not_go_round_in_circles():
    @plugin
    class Fails:
        @hookimpl
        def on_event(self, event: Event) -> None:
            raise RuntimeError("again")

    engine, seen = engine_with(a=Fails(), b=Fails())
    seen.events.clear()

    run(engine, bar())

    assert ["Bar", "PluginFailed", "PluginFailed"] == seen.kinds
    assert ["a", "b"] == [failed.plugin for failed in seen.of(PluginFailed)]


def test_executions_are_told_as_they_come():
    engine, seen = engine_with(s=Says(on_bars=[[limit(buy())]]), desk=Desk())
    says: list[Execution] = [
        accepted("s-1"),
        CancelRejected(order_id="s-1", time=2, reason="no"),
        Replaced(order_id="s-1", time=3, quantity=Decimal(2)),
        Canceled(order_id="s-1", time=4),
    ]

    run(engine, bar(), *says)

    assert says == seen.events[-4:]


# A venue that rests.


@plugin
class Resting:
    """A venue that fills nothing and counts how often it is asked; *says* whether it may rest."""

    says: Any = True
    asked: list[Market] = field(default_factory=list)

    @hookimpl
    def rests(self) -> Any:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    @hookimpl
    def place_order(self, order: Order) -> Accepted:
        return Accepted(order_id=order.id, time=order.time)

    @hookimpl
    def match_orders(self, market: Market) -> list[Execution] | None:
        self.asked.append(market)
        return None


def test_a_venue_that_rests_is_asked_only_while_an_order_works():
    venue = Resting()
    engine, _ = engine_with(s=Says(on_bars=[None, [limit(buy())]]), venue=venue)

    for number in range(4):
        engine.handle(bar(number=number))

    assert [bar(number=2), bar(number=3)] == venue.asked


@pytest.mark.parametrize("says", [None, False, RuntimeError("who knows"), "yes"])
def test_a_venue_that_does_not_say_that_it_rests_is_asked_each_time(says):
    venue = Resting(says=says)
    engine, _ = engine_with(venue=venue)

    engine.handle(bar())

    assert [bar()] == venue.asked


def test_of_two_venues_both_must_rest():
    engine, _ = engine_with(venue=Resting(), other=(other := Resting(says=None)))

    engine.handle(bar())

    assert [bar()] == other.asked


def test_failing_to_say_whether_it_rests_is_told():
    _, seen = engine_with(venue=Resting(says=RuntimeError("who knows")))

    assert [("venue", "rests")] == [(each.plugin, each.hook) for each in seen.of(PluginFailed)]


def test_a_fill_of_an_order_that_ended_too_long_ago_is_not_believed():
    engine, seen = engine_with(s=Says(on_bars=[[buy()], [buy()]]), desk=Desk())
    engine.handle(bar())
    engine.handle(filled("s-1"))
    # When the next order ends, more than a month later, the first is forgotten.
    engine.handle(bar(number=50_000))
    engine.handle(filled("s-2", trade="t-2"))

    engine.handle(filled("s-1", trade="t-3"), "desk")

    assert 2 == len(seen.of(Fill))
    assert "reports a fill of s-1, which ended too long ago" in seen.of(Halted)[0].reason
