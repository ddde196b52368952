"""Our books against the venue's: by what the engine tells when it is handed a statement."""

from __future__ import annotations

from dataclasses import field
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from nicegold import (
    SECOND,
    Absent,
    Accepted,
    Break,
    Busted,
    Cancel,
    Canceled,
    Event,
    Fill,
    Mended,
    Order,
    OrderStatus,
    Placed,
    PluginFailed,
    Portfolio,
    Reconciled,
    Side,
    Statement,
    VenueOrder,
    Vetoed,
    hookimpl,
    plugin,
)
from nicegold.clock import show_time
from nicegold.testing import ACCOUNT, START, bar, encoded, engine_with, market_order

LOT = Decimal("1.00")
PRICE = Decimal("2000.00")


def lot() -> Order:
    return market_order(quantity="1.00")


@plugin
class Desk:
    """A broker that answers as it was told to, by default with Accepted, and whose venue can be asked."""

    answers: list[Any] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    @hookimpl
    def place_order(self, order: Order) -> Any:
        self.asked.append(order)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer or Accepted(order_id=order.id, time=order.time, venue_order_id=f"v-{order.id}")

    @hookimpl
    def cancel_order(self, cancel: Cancel) -> Any:
        self.asked.append(cancel)
        raise TimeoutError("no answer")

    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        return None


@plugin
class Buys:
    """Asks for what it is given, bar by bar."""

    requests: list[Any]

    @hookimpl
    def on_bar(self) -> Any:
        return self.requests.pop(0) if self.requests else None


class Session:
    """An engine that has *requests* to make and a venue whose statements come when the test says so."""

    def __init__(self, *requests: Any, answers: list[Any] | None = None, agreed: bool = True) -> None:
        self.desk = Desk(answers=answers or [])
        self.engine, self.seen = engine_with(
            buys=Buys(requests=[[each] for each in requests]), desk=self.desk
        )
        self._bars = 0
        if agreed:
            self.state()

    @property
    def portfolio(self) -> Portfolio:
        return self.engine.portfolio

    def bar(self) -> None:
        self._bars += 1
        self.engine.handle(bar(number=self._bars))

    def handle(self, event: Any) -> list[Event]:
        before = len(self.seen.events)
        self.engine.handle(event, "desk")
        return self.seen.events[before:]

    def state(self, **what: Any) -> list[Event]:
        return self.handle(statement(asked=self.engine.sequence, **what))


def statement(**what: Any) -> Statement:
    given: dict[str, Any] = {"time": START, "since": 0, "orders": [], "fills": [], "positions": {}}
    return Statement(**given | what)


def fill(order_id: str = "buys-1", trade_id: str = "t-1", quantity: Decimal = LOT) -> Fill:
    return Fill(
        order_id=order_id,
        trade_id=trade_id,
        time=START,
        symbol="XAUUSD",
        side=Side.BUY,
        quantity=quantity,
        price=PRICE,
    )


def theirs(status: OrderStatus = OrderStatus.NEW, order_id: str = "buys-1", **what: Any) -> VenueOrder:
    given: dict[str, Any] = {
        "order_id": order_id,
        "venue_order_id": f"v-{order_id}",
        "symbol": "XAUUSD",
        "side": Side.BUY,
        "quantity": LOT,
        "status": status,
    }
    return VenueOrder(**given | what)


def absent(session: Session) -> Absent:
    return Absent(order_id="buys-1", time=START, asked=session.engine.sequence)


def kinds(events: list[Event]) -> list[str]:
    return [type(each).__name__ for each in events]


# Before anything is known.


def test_nothing_is_sent_before_the_books_have_been_found_to_agree():
    session = Session(lot(), lot(), agreed=False)

    session.bar()
    assert ["Vetoed"] == session.seen.kinds[-1:]
    assert ["Reconciled"] == kinds(session.state())
    session.bar()

    assert 1 == len(session.desk.asked)


def test_books_that_agree_are_told_of_once():
    session = Session()

    assert [] == session.state()


# What we missed.


def test_a_trade_that_was_missed_is_booked_and_its_late_report_is_a_double():
    session = Session(lot())
    session.bar()
    done = theirs(OrderStatus.FILLED, filled=LOT)

    told = session.state(orders=[done], fills=[fill()], positions={"XAUUSD": LOT})

    assert ["Fill"] == kinds(told)
    session.handle(fill())
    assert LOT == session.portfolio.position("XAUUSD").quantity
    assert {} == dict(session.portfolio.orders)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (OrderStatus.CANCELED, "Canceled"),
        (OrderStatus.EXPIRED, "Expired"),
        (OrderStatus.REJECTED, "Rejected"),
    ],
)
def test_an_order_that_has_ended_at_the_venue_ends_here(status, told):
    session = Session(lot())
    session.bar()

    assert [told] == kinds(session.state(orders=[theirs(status)]))
    assert {} == dict(session.portfolio.orders)


def test_an_order_in_doubt_that_the_venue_has_is_accepted():
    session = Session(lot(), answers=[TimeoutError("no answer")])
    session.bar()
    assert [OrderStatus.UNKNOWN] == [each.status for each in session.portfolio.working()]

    assert ["Accepted"] == kinds(session.state(orders=[theirs()]))
    assert [OrderStatus.NEW] == [each.status for each in session.portfolio.working()]


def test_an_order_in_doubt_that_the_venue_does_not_list_stays_in_doubt_and_keeps_its_exposure():
    session = Session(lot(), lot(), answers=[TimeoutError("no answer")])
    session.bar()

    assert [] == session.state()
    session.bar()

    (vetoed,) = session.seen.of(Vetoed)
    assert ["buys-1 is in doubt"] == [each.reason for each in vetoed.objections]
    assert Decimal("2.00") == session.portfolio.exposure_after(replace(lot(), id="buys-9"))


def test_a_trade_of_an_order_that_ended_too_long_ago_is_not_booked_again():
    session = Session(lot())
    session.bar()
    session.handle(fill())
    much_later = 31 * 24 * 60
    for number in (much_later, 2 * much_later):
        session.engine.handle(bar(number=number))
        session.handle(fill("by-hand", f"t-{number}"))

    told = session.state(fills=[fill()], positions={"XAUUSD": LOT * 3})

    assert [] == told


# What nothing explains.


BREAKS: dict[str, tuple[dict[str, Any], str, str]] = {
    "an order that we do not know": ({"orders": [theirs(order_id="other-1")]}, "order", "other-1"),
    "an order without our name": (
        {"orders": [theirs(order_id="", venue_order_id="v-7")]},
        "order",
        "v-7",
    ),
    "an order that the venue does not know": ({"orders": []}, "order", "buys-1"),
    "another quantity": ({"orders": [theirs(quantity=LOT * 2)]}, "order", "buys-1"),
    "another side": ({"orders": [theirs(side=Side.SELL)]}, "order", "buys-1"),
    "filled without its trade": ({"orders": [theirs(OrderStatus.FILLED, filled=LOT)]}, "order", "buys-1"),
    "a position": ({"orders": [theirs()], "positions": {"XAUUSD": LOT}}, "position", "XAUUSD"),
    "a position in what we do not trade": (
        {"orders": [theirs()], "positions": {"EURUSD": LOT}},
        "position",
        "EURUSD",
    ),
    "cash": ({"orders": [theirs()], "cash": ACCOUNT.cash - 1}, "cash", "USD"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_told_once_and_stops_new_orders_until_it_is_mended(name):
    said, kind, about = BREAKS[name]
    session = Session(lot(), lot())
    session.bar()

    told = session.state(**{"orders": [theirs()], **said})

    assert (kind, about) in {(each.kind, each.about) for each in told if isinstance(each, Break)}
    assert [] == session.state(**{"orders": [theirs()], **said})
    session.bar()
    assert 1 == len(session.desk.asked)
    assert f"{kind} {about}: we have " in session.seen.of(Vetoed)[0].objections[0].reason
    mended = session.state(orders=[theirs()], cash=ACCOUNT.cash)
    assert ["Mended", "Reconciled"] == kinds(mended)[-2:]
    assert {} == session.portfolio.breaks


def test_cash_that_differs_by_less_than_a_cent_agrees():
    session = Session()

    assert [] == session.state(cash=ACCOUNT.cash - Decimal("0.009"))


def test_a_cash_break_stands_while_the_venue_does_not_say():
    session = Session()
    session.state(cash=ACCOUNT.cash - 1)

    assert [] == session.state(cash=None)
    assert ["Mended", "Reconciled"] == kinds(session.state(cash=ACCOUNT.cash))


# Clocks.


@pytest.mark.parametrize("offset", [-3601 * SECOND, -2 * SECOND - 1, 2 * SECOND + 1, 3601 * SECOND])
def test_clocks_that_differ_stop_new_orders_until_they_agree(offset):
    session = Session(lot(), lot())
    differing = {"clock": START + offset, "slack": 2 * SECOND}

    (told,) = session.state(**differing)

    assert isinstance(told, Break)
    assert ("clock", "UTC", show_time(START)) == (told.kind, told.about, told.theirs)
    session.bar()
    assert [] == session.desk.asked
    assert "clock UTC: we have " in session.seen.of(Vetoed)[0].objections[0].reason
    mended = session.state(clock=START + 2 * SECOND, slack=2 * SECOND)
    assert ["Mended", "Reconciled"] == kinds(mended)
    session.bar()
    assert 1 == len(session.desk.asked)


def test_clocks_that_go_on_differing_are_told_of_once():
    session = Session()
    session.state(clock=START + SECOND, slack=1)

    assert [] == session.state(time=START + SECOND, clock=START + 3 * SECOND, slack=1)


def test_clocks_that_nobody_looked_at_say_nothing():
    session = Session()
    assert [] == session.state(slack=1)
    session.state(clock=START + SECOND, slack=1)

    assert [] == session.state()
    assert 1 == len(session.portfolio.breaks)


def test_a_persons_word_sets_no_clock():
    session = Session(agreed=False)

    assert ["Break"] == kinds(adopting(session, clock=START + SECOND, slack=1))


# A statement is older than the moment in which it is compared.


def test_what_has_changed_since_the_question_is_left_for_the_next_answer():
    session = Session(lot())
    asked = session.engine.sequence
    session.bar()
    session.handle(fill())

    assert [] == session.handle(statement(asked=asked, cash=ACCOUNT.cash - 5))
    done = theirs(OrderStatus.FILLED, filled=LOT)
    assert [] == session.state(orders=[done], fills=[fill()], positions={"XAUUSD": LOT}, cash=ACCOUNT.cash)


def test_what_a_statement_says_itself_is_compared_with_it():
    session = Session(lot())
    session.bar()
    done = theirs(OrderStatus.FILLED, filled=LOT)

    told = session.state(orders=[done], fills=[fill()], positions={})

    assert ["Fill", "Break"] == kinds(told)


# Absence.


def test_an_order_that_never_arrived_is_sent_once_more_with_its_id():
    session = Session(lot(), answers=[TimeoutError("no answer")])
    session.bar()

    told = session.handle(absent(session))

    assert ["Absent", "Accepted"] == kinds(told)
    assert ["buys-1", "buys-1"] == [each.id for each in session.desk.asked]
    assert session.portfolio.orders["buys-1"].resent


def test_an_order_that_is_lost_twice_is_not_sent_a_third_time():
    lost = TimeoutError("no answer")
    session = Session(lot(), answers=[lost, lost])
    session.bar()
    assert ["Absent", "Unknown"] == kinds(session.handle(absent(session)))

    assert ["Absent"] == kinds(session.handle(absent(session)))

    assert 2 == len(session.desk.asked)
    assert {} == dict(session.portfolio.orders)


def test_an_order_that_never_arrived_is_not_sent_again_against_an_objection():
    session = Session(lot(), answers=[TimeoutError("no answer")])
    session.bar()
    session.state(positions={"XAUUSD": LOT})

    told = session.handle(absent(session))

    assert ["Absent", "Rejected"] == kinds(told)
    assert "it never reached the venue, and is not sent again: engine: position XAUUSD" in told[-1].reason  # type: ignore[attr-defined]
    assert {} == dict(session.portfolio.orders)


def test_absence_says_nothing_of_an_order_that_the_venue_has_accepted():
    session = Session(lot())
    session.bar()

    assert ["Absent"] == kinds(session.handle(absent(session)))
    assert OrderStatus.NEW is session.portfolio.orders["buys-1"].status
    assert 1 == len(session.desk.asked)


def test_absence_that_was_found_before_the_last_sending_says_nothing_of_it():
    lost = TimeoutError("no answer")
    session = Session(lot(), answers=[lost, lost])
    session.bar()
    early = absent(session)
    session.handle(early)

    assert [] == session.handle(early)
    assert [OrderStatus.UNKNOWN] == [each.status for each in session.portfolio.working()]


# A person's word: the venue is right.


def adopting(session: Session, **said: Any) -> list[Event]:
    """What is told of the first comparison after a person's word."""
    session.engine.adopt("seen on their screen")
    return session.state(**said)


def test_by_a_persons_word_what_the_venue_has_is_ours_and_trading_goes_on():
    session = Session(lot(), lot(), agreed=False)
    said = {"positions": {"XAUUSD": LOT}, "cash": Decimal("99993.00"), "costs": {"XAUUSD": PRICE}}

    told = adopting(session, **said)

    assert ["Break", "Break", "Adopted", "Adopted"] == kinds(told)
    assert {} == session.portfolio.breaks
    held = session.portfolio.position("XAUUSD")
    assert (LOT, PRICE, Decimal(0)) == (held.quantity, held.cost, held.realized)
    assert Decimal("99993.00") == session.portfolio.cash
    assert ["Reconciled"] == kinds(session.state(**said))
    session.bar()
    assert 1 == len(session.desk.asked)


def test_what_was_adopted_closes_to_the_cash_that_the_venue_has():
    session = Session(lot(), agreed=False)
    session.bar()
    adopting(session, positions={"XAUUSD": LOT}, cash=Decimal(99993), costs={"XAUUSD": PRICE})

    session.handle(replace(fill(), side=Side.SELL, price=PRICE + 5, time=START + 1))

    assert Decimal(99993 + 500) == session.portfolio.cash
    assert ["Reconciled"] == kinds(session.state(cash=Decimal(99993 + 500), costs={}))


def test_cash_that_is_adopted_allows_for_lots_that_cost_more_here():
    session = Session(lot())
    session.bar()
    session.handle(fill())
    said = {
        "orders": [theirs(OrderStatus.FILLED, filled=LOT)],
        "positions": {"XAUUSD": LOT},
        # They have closed other lots of the same trades, and lost 50 that we do not know of.
        "cash": ACCOUNT.cash - 150,
        "costs": {"XAUUSD": PRICE - 1},
    }

    adopting(session, **said)

    assert PRICE == session.portfolio.position("XAUUSD").cost
    assert ACCOUNT.cash - 50 == session.portfolio.cash
    assert [] == session.state(**said)


def test_a_position_whose_cost_is_not_said_is_taken_at_the_last_price():
    session = Session(agreed=False)
    session.bar()
    equity = session.portfolio.equity

    adopting(session, positions={"XAUUSD": -LOT})

    assert equity == session.portfolio.equity
    price = Decimal(repr(session.portfolio.price("XAUUSD")))
    assert -price == session.portfolio.position("XAUUSD").cost


@pytest.mark.parametrize("lots", ["0", "0.40", "1.50", "-2"])
def test_lots_that_were_adopted_are_no_strategys(lots):
    session = Session(lot())
    session.bar()
    session.handle(fill())
    done = [theirs(OrderStatus.FILLED, filled=LOT)]

    adopting(session, orders=done, positions={"XAUUSD": Decimal(lots)})

    portfolio = session.portfolio
    assert Decimal(lots) == portfolio.position("XAUUSD").quantity
    assert LOT == portfolio.position("XAUUSD", "buys").quantity
    assert Decimal(lots) - LOT == portfolio.position("XAUUSD", "").quantity
    assert ACCOUNT.cash == portfolio.cash


def test_an_order_that_the_venue_does_not_have_ends_by_a_persons_word():
    session = Session(lot())
    session.bar()

    told = adopting(session)

    assert ["Break", "Adopted", "Canceled"] == kinds(told)
    assert "it does not work at the venue: seen on their screen" == told[-1].reason  # type: ignore[attr-defined]
    assert {} == dict(session.portfolio.orders)


@pytest.mark.parametrize(
    "said",
    [
        {"orders": [theirs(), theirs(order_id="", venue_order_id="v-7")]},
        {"orders": [theirs(), theirs(order_id="other-1")]},
        {"orders": [theirs(quantity=LOT * 2)]},
        {"orders": [theirs()], "positions": {"EURUSD": LOT}},
    ],
    ids=["an order without our name", "an unknown order", "other terms", "what we do not trade"],
)
def test_what_no_word_can_end_stays_a_break_until_it_is_gone(said):
    session = Session(lot())
    session.bar()

    told = adopting(session, **said)

    assert ["Break"] == kinds(told)
    assert 1 == len(session.portfolio.breaks)
    assert ["Mended", "Reconciled"] == kinds(session.state(orders=[theirs()]))


def test_a_word_waits_for_a_price_of_what_the_venue_holds():
    session = Session(agreed=False)
    assert ["Break"] == kinds(adopting(session, positions={"XAUUSD": LOT}))
    session.bar()

    assert ["Adopted"] == kinds(session.state(positions={"XAUUSD": LOT}))


def test_a_word_is_about_the_first_comparison_only():
    session = Session(agreed=False)
    assert ["Reconciled"] == kinds(adopting(session))

    assert ["Break"] == kinds(session.state(cash=ACCOUNT.cash - 1))


def test_a_word_waits_for_a_statement_that_can_be_compared():
    session = Session(agreed=False)
    assert ["PluginFailed"] == kinds(adopting(session, positions={"XAUUSD": Decimal("NaN")}))

    assert ["Break", "Adopted"] == kinds(session.state(cash=ACCOUNT.cash - 1))


def test_a_word_waits_for_a_statement_since_which_nothing_has_changed():
    session = Session(lot())
    asked = session.engine.sequence
    session.bar()
    session.engine.adopt("seen on their screen")
    assert ["Break"] == kinds(session.handle(statement(asked=asked, cash=ACCOUNT.cash - 1)))

    assert ["Adopted"] == kinds(session.state(orders=[theirs()], cash=ACCOUNT.cash - 1))


def test_a_statement_that_was_asked_for_before_the_word_says_nothing_against_it():
    session = Session(agreed=False)
    session.bar()
    before = session.engine.sequence
    adopting(session, positions={"XAUUSD": LOT})

    assert [] == [each for each in session.handle(statement(asked=before)) if isinstance(each, Break)]
    assert LOT == session.portfolio.position("XAUUSD").quantity


@pytest.mark.parametrize("is_stated", [True, False])
def test_a_trade_that_is_in_what_was_adopted_is_not_booked_once_more(is_stated):
    session = Session(agreed=False)
    session.bar()
    adopting(session, positions={"XAUUSD": LOT})
    by_hand = fill("by-hand")

    told = session.state(fills=[by_hand], positions={"XAUUSD": LOT}) if is_stated else session.handle(by_hand)

    assert "Fill" not in kinds(told)
    assert LOT == session.portfolio.position("XAUUSD").quantity
    session.handle(replace(by_hand, trade_id="t-2", time=START + 1))
    assert LOT * 2 == session.portfolio.position("XAUUSD").quantity


def test_risk_is_asked_about_what_was_adopted():
    @plugin
    class Limit:
        @hookimpl
        def check_portfolio(self, portfolio: Portfolio) -> str | None:
            return "too much" if portfolio.position("XAUUSD").quantity > LOT else None

    engine, seen = engine_with(desk=Desk(), limit=Limit())
    engine.handle(bar(number=1))
    engine.adopt("theirs is right")

    engine.handle(statement(asked=engine.sequence, positions={"XAUUSD": LOT * 2}), "desk")

    assert ["Break", "Adopted", "Halted"] == seen.kinds[-3:]


def test_what_was_adopted_is_known_to_the_engine_that_goes_on():
    first = Session(agreed=False)
    first.bar()
    adopting(first, positions={"XAUUSD": LOT}, cash=ACCOUNT.cash)
    first.engine.snapshot()
    second = Session(agreed=False)

    second.handle(first.seen.events[-1])
    second.handle(fill("by-hand"))

    assert LOT == second.portfolio.position("XAUUSD").quantity
    assert LOT == second.portfolio.position("XAUUSD", "").quantity
    assert ["Reconciled"] == kinds(second.state(positions={"XAUUSD": LOT}))


# Trades that are taken back.


def test_a_busted_trade_leaves_the_equity_that_would_have_been_without_it():
    session = Session(lot())
    session.bar()
    session.handle(fill())
    session.handle(replace(fill(trade_id="t-2"), price=Decimal("2010.00"), commission=Decimal(7)))

    session.handle(Busted(order_id="buys-1", trade_id="t-2", time=START))
    session.bar()

    only_first = Session(lot())
    only_first.bar()
    only_first.handle(fill())
    only_first.bar()
    assert only_first.portfolio.equity == session.portfolio.equity
    assert only_first.portfolio.position("XAUUSD").quantity == session.portfolio.position("XAUUSD").quantity
    assert 0 == session.portfolio.commission


@pytest.mark.parametrize("again", [fill(), Busted(order_id="buys-1", trade_id="t-1", time=START)])
def test_a_busted_trade_neither_comes_back_nor_is_taken_back_twice(again):
    session = Session(lot())
    session.bar()
    session.handle(fill())
    session.handle(Busted(order_id="buys-1", trade_id="t-1", time=START))

    session.handle(again)

    assert 0 == session.portfolio.position("XAUUSD").quantity
    assert ACCOUNT.cash == session.portfolio.cash


def test_a_trade_that_comes_after_it_was_taken_back_is_not_booked():
    session = Session(lot())
    session.bar()
    session.handle(Busted(order_id="buys-1", trade_id="t-1", time=START))

    session.handle(fill())

    assert 0 == session.portfolio.position("XAUUSD").quantity
    assert ["buys-1"] == list(session.portfolio.orders)


def test_a_trade_taken_back_while_its_order_works_gives_the_lots_back_to_the_order():
    session = Session(replace(lot(), quantity=LOT * 3))
    session.bar()
    session.handle(fill())

    session.handle(Busted(order_id="buys-1", trade_id="t-1", time=START))

    assert LOT * 3 == session.portfolio.orders["buys-1"].remaining


# From one run to the next.


def test_a_snapshot_is_where_another_engine_goes_on():
    first = Session(lot(), lot(), lot(), answers=[None, None, TimeoutError("no answer")])
    first.bar()
    first.handle(fill())
    first.handle(replace(fill(trade_id="t-9"), commission=Decimal("1.5")))
    first.bar()
    first.handle(fill("buys-2", "t-2", Decimal("0.40")))
    first.bar()
    first.engine.halt("limit", "too much")
    first.engine.snapshot()
    snapshot = first.seen.events[-1]

    second = Session(agreed=False)
    second.handle(snapshot)

    mine, theirs = first.portfolio, second.portfolio
    assert snapshot == theirs.snapshot(second.engine._numbers)
    for told in ("cash", "equity", "halted", "fills", "commission", "time"):
        assert getattr(mine, told) == getattr(theirs, told), told
    assert mine.positions == theirs.positions
    assert mine.orders == theirs.orders
    assert theirs.has_fill(fill())
    assert set() == theirs.reconciled


def test_an_order_that_had_no_answer_when_the_engine_stopped_is_in_doubt():
    first = Session(lot(), answers=[Placed(order_id="buys-1")])
    first.bar()
    first.engine.snapshot()
    second = Session(agreed=False)

    told = second.handle(first.seen.events[-1])

    assert ["Snapshot", "Unknown"] == kinds(told)
    assert [OrderStatus.UNKNOWN] == [each.status for each in second.portfolio.working()]


def test_an_order_s_number_goes_on_where_the_last_run_ended():
    first = Session(lot())
    first.bar()
    first.engine.snapshot()
    second = Session(lot(), agreed=False)
    second.handle(first.seen.events[-1])
    second.state(orders=[theirs()])

    second.bar()

    assert ["buys-2"] == [each.id for each in second.desk.asked]


# Nonsense, and the same again.


@pytest.mark.parametrize(
    "wrong",
    [
        {"orders": ["buys-1"]},
        {"positions": {"XAUUSD": 1.0}},
        {"positions": {"XAUUSD": Decimal("NaN")}},
        {"fills": None},
    ],
)
def test_a_statement_that_cannot_be_read_is_a_failure_and_changes_nothing(wrong):
    session = Session(agreed=False)

    told = session.state(**wrong)

    assert ["PluginFailed"] == kinds(told)[:1]
    assert "fetch_statement" == session.seen.of(PluginFailed)[0].hook
    assert set() == session.portfolio.reconciled


def test_what_a_statement_led_to_can_be_handed_in_again_without_it():
    session = Session(lot(), agreed=False)
    session.bar()
    session.state(positions={"XAUUSD": LOT})
    session.state(orders=[theirs(OrderStatus.CANCELED)])
    inputs = [
        each for each in session.seen.events[1:] if isinstance(each, Break | Mended | Reconciled | Canceled)
    ]

    again = Session(lot(), agreed=False)
    again.bar()
    for each in inputs:
        again.engine.handle(each)

    assert encoded(session.seen.events) == encoded(again.seen.events)
