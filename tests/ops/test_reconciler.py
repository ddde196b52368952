"""What is put into the inbox of what venues answer."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from nicegold import (
    SECOND,
    Absent,
    Accepted,
    Break,
    Cancel,
    Canceled,
    Event,
    Found,
    Mended,
    Placed,
    PluginFailed,
    Portfolio,
    Reconciled,
    Statement,
    Unknown,
)
from nicegold.answers import Replies, Reply
from nicegold.testing import ACCOUNT, GOLD, market_order
from nicegold_ops.reconciler import EVERY, SOON, Reconciler

HOUR = 3_600_000_000_000


class Venue:
    """What a broker answers, by turns; an error is answered as one."""

    def __init__(self, hook: str, *answers: Any) -> None:
        self._hook = hook
        self._answers = list(answers)
        self.asked: list[Any] = []

    def __call__(self, about: Any) -> Replies:
        self.asked.append(about)
        answer = self._answers.pop(0) if self._answers else None
        if isinstance(answer, Exception):
            return (Reply("desk", self._hook, error=answer),)
        return () if answer is None else (Reply("desk", self._hook, answer),)


class Asking:
    """A reconciler with one broker, and what it put into the inbox."""

    def __init__(
        self, *statements: Any, finds: tuple[Any, ...] = (), doubtful: int = 0, **clocks: Any
    ) -> None:
        self.inbox: list[tuple[Event | Statement, str]] = []
        self.portfolio = Portfolio(ACCOUNT, {GOLD.symbol: GOLD})
        for number in range(1, doubtful + 1):
            order = replace(market_order(), id=f"buys-{number}", strategy="buys")
            self.portfolio.apply(order)
            self.portfolio.apply(Unknown(order_id=order.id, reason="no answer"))
        self.sequence = 40
        self.fetch = Venue("fetch_statement", *statements)
        self.find = Venue("find_order", *finds)
        self.reconciler = Reconciler(
            {"desk": self.fetch},
            {"desk": self.find},
            lambda event, broker: self.inbox.append((event, broker)),
            self.portfolio,
            self._count,
            since=5 * HOUR,
            **clocks,
        )

    def _count(self) -> int:
        self.sequence += 1
        return self.sequence


def statement(time: int = 9 * HOUR) -> Statement:
    return Statement(time=time, since=0, orders=[], fills=[], positions={})


def test_a_statement_bears_how_far_the_journal_was_when_it_was_asked_for():
    asking = Asking(statement())

    asking.reconciler.ask()

    assert [(replace(statement(), asked=41), "desk")] == asking.inbox


def test_the_past_is_asked_for_an_hour_back_from_what_is_known_and_from_the_last_statement():
    asking = Asking(statement(), statement())

    asking.reconciler.ask()
    asking.reconciler.ask()

    assert [4 * HOUR, 8 * HOUR] == asking.fetch.asked


def test_each_order_in_doubt_is_asked_about_and_no_other():
    accepted = Accepted(order_id="buys-1", time=1)
    asking = Asking(finds=([accepted], [Absent(order_id="buys-2", time=1)]), doubtful=2)
    asking.portfolio.apply(replace(market_order(), id="buys-3", strategy="buys"))

    asking.reconciler.ask()

    assert ["buys-1", "buys-2"] == [each.id for each in asking.find.asked]
    told = [accepted, Found(order_id="buys-1", time=1, asked=41), Absent(order_id="buys-2", time=1, asked=42)]
    assert [(each, "desk") for each in told] == asking.inbox


def test_a_change_is_asked_about_when_its_answer_is_owed_for_a_second_time():
    accepted = Accepted(order_id="buys-3", time=1)
    asking = Asking(finds=([accepted],))
    order = replace(market_order(), id="buys-3", strategy="buys")
    for event in (order, accepted, Cancel(order_id=order.id, strategy="buys")):
        asking.portfolio.apply(event)

    asking.reconciler.ask()
    assert [] == asking.find.asked
    asking.reconciler.ask()

    assert ["buys-3"] == [each.id for each in asking.find.asked]
    assert Found(order_id="buys-3", time=1, asked=42) == asking.inbox[-1][0]


def test_an_order_whose_acceptance_was_lost_is_asked_about_when_it_is_owed_for_a_second_time():
    accepted = Accepted(order_id="buys-3", time=1)
    asking = Asking(finds=([accepted],))
    order = replace(market_order(), id="buys-3", strategy="buys")
    for event in (order, Placed(order_id=order.id, broker="desk")):
        asking.portfolio.apply(event)

    asking.reconciler.ask()
    assert ([], SOON) == (asking.find.asked, asking.reconciler.pause())
    asking.reconciler.ask()

    assert ["buys-3"] == [each.id for each in asking.find.asked]
    assert (accepted, "desk") in asking.inbox


def test_an_order_of_which_the_venue_says_something_else_is_asked_about():
    asking = Asking(finds=([Canceled(order_id="buys-3", time=1)],))
    order = replace(market_order(), id="buys-3", strategy="buys")
    broken = Break(broker="desk", kind="order", about="buys-3", ours="new", theirs="unknown", time=1)
    for event in (order, Accepted(order_id=order.id, time=1), broken):
        asking.portfolio.apply(event)

    asking.reconciler.ask()

    assert ["buys-3"] == [each.id for each in asking.find.asked]


def test_a_venue_that_does_not_answer_is_told_of_once_and_again_after_it_did():
    asking = Asking(OSError("gone"), OSError("gone"), statement(), OSError("gone again"))

    for _ in range(4):
        asking.reconciler.ask()

    kinds = [type(event) for event, _ in asking.inbox]
    assert [PluginFailed, Statement, PluginFailed] == kinds


def test_of_each_statement_it_is_told_whether_it_came():
    told: list[tuple[str, bool]] = []
    asking = Asking(statement(), OSError("gone"), None, told=lambda broker, came: told.append((broker, came)))

    for _ in range(3):
        asking.reconciler.ask()

    assert [("desk", True), ("desk", False), ("desk", False)] == told


def test_silence_puts_nothing_into_the_inbox():
    asking = Asking(None, finds=(None,), doubtful=1)

    asking.reconciler.ask()

    assert [] == asking.inbox


# Clocks.


class Ticking:
    """What a clock shows, reading by reading; the last one stays."""

    def __init__(self, *shown: int) -> None:
        self._shown = list(shown)

    def __call__(self) -> int:
        return self._shown.pop(0) if len(self._shown) > 1 else self._shown[0]


def test_a_statement_bears_what_our_clock_showed_half_way_and_how_far_theirs_may_be_from_it():
    asking = Asking(
        statement(), wall=Ticking(9 * HOUR), monotonic=Ticking(100, 100 + 3 * SECOND), tolerance=0.5
    )

    asking.reconciler.ask()

    half = 3 * SECOND // 2
    stamped = replace(statement(), asked=41, clock=9 * HOUR + half, slack=half + SECOND // 2)
    assert [(stamped, "desk")] == asking.inbox


def test_a_clock_that_is_set_while_the_venue_is_asked_is_judged_by_the_next_answer():
    wall = Ticking(9 * HOUR, 10 * HOUR)
    asking = Asking(statement(), statement(), wall=wall, monotonic=Ticking(7))

    asking.reconciler.ask()
    asking.reconciler.ask()

    assert [9 * HOUR, 10 * HOUR] == [getattr(said, "clock", 0) for said, _ in asking.inbox]


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_the_pace_of_questions_is_no_matter_of_the_wall_clock(step):
    waited: list[float] = []

    class Stop:
        """Ends after the second wait."""

        def is_set(self) -> bool:
            return len(waited) == 2

        def wait(self, seconds: float) -> None:
            waited.append(seconds)

    asking = Asking(statement(), statement(), wall=Ticking(9 * HOUR, 9 * HOUR + step))
    asking.portfolio.apply(Reconciled(broker="desk", time=1))

    asking.reconciler.run(Stop())  # type: ignore[arg-type]

    assert [EVERY, EVERY] == waited
    assert 2 == len(asking.fetch.asked)


def test_while_books_differ_a_statement_reaches_further_back_each_time_up_to_two_days():
    asking = Asking(*[statement(100 * HOUR) for _ in range(10)])
    asking.reconciler.ask()
    found = Break(broker="desk", kind="position", about="XAUUSD", ours="0", theirs="1", time=1)
    asking.portfolio.apply(found)

    for _ in range(7):
        asking.reconciler.ask()
    asking.portfolio.apply(Mended(broker="desk", kind="position", about="XAUUSD", time=2))
    asking.reconciler.ask()

    assert [hours * HOUR for hours in (4, 98, 96, 92, 84, 68, 52, 52, 99)] == asking.fetch.asked
