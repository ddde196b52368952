"""Exposure is never above a limit, whatever the order of events.

A scripted venue keeps its own book and its own position, and answers when Hypothesis says so: late,
in another order than it was asked, after it filled, twice, or never. What it reports reaches us in
the order in which it happened there.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nicegold import (
    Accepted,
    Cancel,
    Canceled,
    CancelRejected,
    Execution,
    Expired,
    Fill,
    Order,
    OrderType,
    Placed,
    Portfolio,
    Rejected,
    Replace,
    Replaced,
    Request,
    Side,
    hookimpl,
    plugin,
)
from nicegold.testing import bar, engine_with

LIMIT = Decimal(3)
ZERO = Decimal(0)


@plugin
class Limit:
    """Objects to whatever could leave us holding more than the limit; the only check there is."""

    @hookimpl
    def check_order(self, order: Order, portfolio: Portfolio) -> str | None:
        after = portfolio.exposure_after(order)
        return None if abs(after) <= LIMIT else f"would hold {after}"


@plugin
class Strategy:
    """Asks for what the test tells it to."""

    @hookimpl
    def startup(self) -> None:
        self.asks: list[Request] = []

    @hookimpl
    def on_bar(self) -> list[Request]:
        asks, self.asks = self.asks, []
        return asks


@dataclass
class Resting:
    """An order at the venue."""

    order: Order
    filled: Decimal = ZERO


@plugin
class Venue:
    """Does at once what it is told, and says nothing of itself: the test lets it speak."""

    @hookimpl
    def startup(self) -> None:
        self.book: dict[str, Resting] = {}
        self.position = ZERO
        self.asked: list[Cancel | Replace] = []
        self.reports: list[Execution] = []
        self.trades = 0
        #: How it takes the next request: accepted, placed, refused, lost, taken_and_failed, not_mine.
        self.manner = "accepted"

    @hookimpl
    def place_order(self, order: Order) -> Accepted | Placed | Rejected | None:
        if self.manner in ("accepted", "placed", "taken_and_failed"):
            self.book[order.id] = Resting(order)
        match self.manner:
            case "accepted":
                return Accepted(order_id=order.id, time=order.time)
            case "placed":
                self.reports.append(Accepted(order_id=order.id, time=order.time))
                return Placed(order_id=order.id)
            case "refused":
                return Rejected(order_id=order.id, time=order.time, reason="no")
            case "not_mine":
                return None
            case _:
                raise TimeoutError("no answer")

    @hookimpl
    def cancel_order(self, cancel: Cancel) -> Placed | None:
        return self._change(cancel)

    @hookimpl
    def replace_order(self, replace: Replace) -> Placed | None:
        return self._change(replace)

    def _change(self, request: Cancel | Replace) -> Placed | None:
        if self.manner in ("accepted", "placed", "taken_and_failed"):
            self.asked.append(request)
        if self.manner in ("lost", "taken_and_failed"):
            raise TimeoutError("no answer")
        return None if self.manner == "not_mine" else Placed(order_id=request.order_id)

    def fill(self, resting: Resting, wanted: Decimal) -> None:
        order = resting.order
        quantity = min(wanted, order.quantity - resting.filled)
        if order.reduce_only:
            quantity = min(quantity, max(-self.position * order.side.sign, ZERO))
        if quantity <= 0:
            return
        resting.filled += quantity
        self.position += quantity * order.side.sign
        self.trades += 1
        self.reports.append(
            Fill(
                order_id=order.id,
                trade_id=f"t-{self.trades}",
                time=self.trades,
                symbol=order.symbol,
                side=order.side,
                quantity=quantity,
                price=Decimal(2000),
            )
        )
        if resting.filled >= order.quantity:
            del self.book[order.id]

    def answer(self, request: Cancel | Replace, *, grants: bool) -> None:
        resting = self.book.get(request.order_id)
        if resting is None or not grants:
            self.reports.append(CancelRejected(order_id=request.order_id, time=1, reason="no"))
        elif isinstance(request, Cancel):
            del self.book[request.order_id]
            self.reports.append(Canceled(order_id=request.order_id, time=1))
        else:
            order = resting.order = request.of(resting.order)
            self.reports.append(
                Replaced(order_id=order.id, time=1, quantity=order.quantity, price=order.price)
            )
            if resting.filled >= order.quantity:
                del self.book[order.id]


#: Mostly what the limit lets through, and now and then what it must not.
LOTS = st.sampled_from([1, 1, 2, 2, 3, 3, 4, 6]).map(Decimal)
#: Mostly a venue that works.
MANNERS = st.sampled_from(["accepted"] * 8 + ["placed", "refused", "lost", "taken_and_failed", "not_mine"])
SIDES = st.sampled_from(Side)
ANY = st.integers(0, 1000)


class Trading(RuleBasedStateMachine):
    """Two strategies, one venue, one limit, and events in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.strategies: dict[str, Any] = {"a": Strategy(), "b": Strategy()}
        self.venue = Venue()
        self.engine, self.seen = engine_with(limit=Limit(), venue=self.venue, **self.strategies)
        self.bars = 0

    def ask(self, strategy: str, request: Request, manner: str = "accepted") -> None:
        self.venue.manner = manner
        self.strategies[strategy].asks = [request]
        self.bars += 1
        self.engine.handle(bar(2000.0, number=self.bars), "feed")

    def working(self, which: int) -> Order:
        states = self.engine.portfolio.working()
        return states[which % len(states)].order

    @property
    def has_working(self) -> bool:
        return bool(self.engine.portfolio.working())

    # What the strategies do.

    @rule(
        first=st.booleans(),
        side=SIDES,
        lots=LOTS,
        reduces=st.sampled_from([False, False, True]),
        manner=MANNERS,
    )
    def order(self, first, side, lots, reduces, manner):
        order = Order(
            symbol="XAUUSD",
            side=side,
            quantity=lots,
            order_type=OrderType.LIMIT,
            price=Decimal(2000),
            reduce_only=reduces,
        )
        self.ask("a" if first else "b", order, manner)

    @rule(side=SIDES, lots=LOTS)
    def trade(self, side, lots):
        """An order that fills and is heard of at once, to get somewhere."""
        self.order(True, side, lots, False, "accepted")
        if self.venue.book:
            self.venue.fill(list(self.venue.book.values())[-1], lots)
            self.hear(len(self.venue.reports))

    @precondition(lambda self: self.has_working)
    @rule(which=ANY, manner=MANNERS)
    def cancel(self, which, manner):
        order = self.working(which)
        self.ask(order.strategy, Cancel(order_id=order.id), manner)

    @precondition(lambda self: self.has_working)
    @rule(which=ANY, lots=LOTS, manner=MANNERS)
    def replace(self, which, lots, manner):
        order = self.working(which)
        self.ask(order.strategy, Replace(order_id=order.id, quantity=lots), manner)

    @precondition(lambda self: self.has_working)
    @rule(which=ANY, lots=LOTS, more=LOTS, grants=st.booleans())
    def replace_twice(self, which, lots, more, grants):
        """A change on top of a change, and an answer to one of them."""
        order = self.working(which)
        for quantity in (lots, more):
            self.ask(order.strategy, Replace(order_id=order.id, quantity=quantity))
        if self.venue.asked:
            self.answer(which, grants)

    @precondition(lambda self: self.has_working)
    @rule(which=ANY, lots=LOTS, cancels=st.booleans())
    def meddle(self, which, lots, cancels):
        """Ask for a change of what belongs to another."""
        order = self.working(which)
        change = Cancel(order_id=order.id) if cancels else Replace(order_id=order.id, quantity=lots)
        self.ask("b" if order.strategy == "a" else "a", change)

    # What the venue does.

    @precondition(lambda self: self.venue.book)
    @rule(which=ANY, lots=LOTS, at_once=st.booleans())
    def fill(self, which, lots, at_once):
        resting = list(self.venue.book.values())
        self.venue.fill(resting[which % len(resting)], lots)
        if at_once:
            self.hear(len(self.venue.reports))

    @precondition(lambda self: self.venue.asked)
    @rule(which=ANY, grants=st.booleans())
    def answer(self, which, grants):
        self.venue.answer(self.venue.asked.pop(which % len(self.venue.asked)), grants=grants)

    @precondition(lambda self: len(self.venue.book) > 2)
    @rule(which=ANY)
    def expire(self, which):
        order_id = list(self.venue.book)[which % len(self.venue.book)]
        del self.venue.book[order_id]
        self.venue.reports.append(Expired(order_id=order_id, time=1))

    @precondition(lambda self: self.venue.reports)
    @rule(count=st.integers(1, 3))
    def hear(self, count):
        """Reports come in the order in which things happened at the venue."""
        for report in self.venue.reports[:count]:
            self.engine.handle(report, "venue")
        del self.venue.reports[:count]

    @precondition(lambda self: self.venue.trades)
    @rule(which=ANY)
    def hear_again(self, which):
        fills = self.seen.of(Fill)
        if fills:
            self.engine.handle(fills[which % len(fills)], "venue")

    @precondition(lambda self: self.venue.trades > 3)
    @rule(seldom=st.integers(0, 5))
    def halt(self, seldom):
        if seldom == 0:
            self.venue.manner = "accepted"
            self.engine.halt("operator", "lunch")

    # What always holds.

    @invariant()
    def we_never_hold_more_than_the_limit(self):
        assert abs(self.venue.position) <= LIMIT
        assert abs(self.engine.portfolio.position("XAUUSD").quantity) <= LIMIT

    @invariant()
    def whatever_works_at_the_venue_works_in_our_books_and_for_no_less(self):
        for order_id, resting in self.venue.book.items():
            state = self.engine.portfolio.order(order_id)
            assert state is not None
            assert state.remaining >= resting.order.quantity - resting.filled

    @invariant()
    def our_books_are_the_venues_once_everything_is_heard(self):
        if not self.venue.reports:
            portfolio = self.engine.portfolio
            assert self.venue.position == portfolio.position("XAUUSD").quantity
            parts = (portfolio.position("XAUUSD", name).quantity for name in self.strategies)
            assert self.venue.position == sum(parts, ZERO)


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=120, stateful_step_count=40)
