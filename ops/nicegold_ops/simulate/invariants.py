"""What has to hold in every step of a simulation, by the names of docs/reliability.md.

The books here are kept anew, from what was recorded and from what reached the exchange: they share no code
with those that they judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import chain, zip_longest

import sqlalchemy as sa

from nicegold import (
    Absent,
    Break,
    Busted,
    Cancel,
    Event,
    Fill,
    Halted,
    Order,
    OrderStatus,
    PluginFailed,
    Portfolio,
    Replace,
    Snapshot,
    Unknown,
)
from nicegold_ops.journal import read
from nicegold_ops.simulate.exchange import Exchange, traded
from nicegold_ops.simulate.life import ACCOUNT, INSTRUMENTS, Life, repeated, told_in
from nicegold_ops.simulate.traders import LIMIT

ZERO = Decimal(0)
#: Where two ways of adding up may differ, in account currency: the last of 28 digits.
_ROUNDING = Decimal("1e-12")
#: What a person must hear of.
_ALARMING = (Unknown, Break, Busted, Halted, PluginFailed)
#: Once recorded, no crash takes these.
_KEPT = (Absent, Busted, Cancel, Fill, Halted, Order, Replace, Snapshot, Unknown)


class Violated(AssertionError):
    """An invariant does not hold. *invariant* is its name."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant


class Ledger:
    """What one account did, added up from the events as they are recorded."""

    def __init__(self, cash: Decimal, lot_sizes: dict[str, Decimal]) -> None:
        self._lot_sizes = lot_sizes
        #: I4: what is left of the cash after all trades, as if nothing were worth anything.
        self.unspent = cash
        self.trades: dict[str, Fill] = {}
        self.busted: set[str] = set()
        #: By symbol: signed lots, and what they cost on average, in the order in which trades were booked.
        self.positions: dict[str, tuple[Decimal, Decimal]] = {}
        #: How often each request was written down, by kind and order.
        self.requests: Counter[tuple[str, str]] = Counter()

    def record(self, event: Event) -> None:
        match event:
            case Fill() if event.trade_id not in self.trades:
                self.trades[event.trade_id] = event
                if event.trade_id not in self.busted:
                    self._book(event, 1)
            case Busted() if event.trade_id not in self.busted:
                self.busted.add(event.trade_id)
                if event.trade_id in self.trades:
                    self._book(self.trades[event.trade_id], -1)
            case Order() | Cancel() | Replace():
                self.requests[named(event)] += 1
            # It may leave a second time.
            case Absent():
                self.requests["Order", event.order_id] += 1

    def _book(self, fill: Fill, side: int) -> None:
        """Add *fill*, or take it out again for a *side* of -1."""
        signed = side * fill.signed_quantity
        held, cost = self.positions.get(fill.symbol, (ZERO, ZERO))
        self.positions[fill.symbol], _ = traded(held, cost, signed, fill.price)
        self.unspent -= signed * fill.price * self._lot_sizes[fill.symbol] + side * fill.commission

    def lots(self, symbol: str) -> Decimal:
        """I3: the sum of distinct trades."""
        return self.positions.get(symbol, (ZERO, ZERO))[0]

    def less(self, cash: Decimal, costs: Iterable[tuple[str, Decimal]]) -> Decimal:
        """*cash* less what the open lots cost: the same, if the books are right."""
        return cash - sum((cost * self._lot_sizes[symbol] for symbol, cost in costs), ZERO)


def named(request: Order | Cancel | Replace) -> tuple[str, str]:
    """What is asked, and of which order."""
    return type(request).__name__, request.id if isinstance(request, Order) else request.order_id


class Checks:
    """Watches one engine after another on one account, and the exchange. *is_bounded* is whether
    nothing but our own orders moves the positions there."""

    def __init__(self, cash: Decimal, lot_sizes: dict[str, Decimal], *, is_bounded: bool) -> None:
        self._is_bounded = is_bounded
        self._symbols = tuple(lot_sizes)
        self._cash, self._lot_sizes = cash, lot_sizes
        self.ledger = Ledger(cash, lot_sizes)
        #: What reached the line, and what the risk check let pass since it last left.
        self.sent: Counter[tuple[str, str]] = Counter()
        self._allowed: set[str] = set()
        self._sequence = self._time = self.alarms = 0
        #: The first violation: a plugin's errors go no further than the host, so who runs must look here.
        self.found: Violated | None = None
        #: What the engine in hand has recorded, and how much of it no crash may take.
        self.lived: list[Event] = []
        self._kept = 0
        self._run = ""
        #: What was on record when it began, by run.
        self._known: dict[str, list[Event]] = {}

    def hold(self, invariant: str, condition: bool, text: str) -> None:
        """Raise Violated unless *condition*."""
        if not condition:
            self.found = self.found or Violated(invariant, text)
            raise self.found

    # One engine's life.

    def begin(self, run: str, known: dict[str, list[Event]]) -> None:
        """A new engine, whose run is *run*; *known* is what the journals hold of those before it."""
        self._keep(known)
        self._run, self._known, self.lived = run, known, []
        self.ledger = Ledger(self._cash, self._lot_sizes)
        self._sequence = self._time = self.alarms = self._kept = 0
        for event in chain.from_iterable(known.values()):
            self.ledger.record(event)
        for request in sorted(self.sent):
            # What left was on the disk before, so no crash can take it away.
            sent, written = self.sent[request], self.ledger.requests[request]
            self.hold(
                "I1", sent <= written, f"{request[0]} {request[1]} left {sent} times, {written} on record"
            )

    def _keep(self, known: dict[str, list[Event]]) -> None:
        """The journal of the last life is what it recorded, less at most what need not survive; the others
        are what they were."""
        last = known.get(self._run, [])
        self.hold("I1", self._kept <= len(last), f"{self._kept} events must be on record, {len(last)} are")
        self.hold("I10", last == self.lived[: len(last)], f"{self._run} is not what was recorded")
        for run, events in self._known.items():
            self.hold("I10", known.get(run) == events, f"{run} is not what it was")

    def attempt(self, event: Event) -> None:
        """*event* is about to be recorded: from now on it may be on the disk."""
        self.lived.append(event)

    def record(self, event: Event) -> None:
        """*event* was recorded."""
        self._sequence += 1
        if isinstance(event, _KEPT):
            self._kept = self._sequence
        self.ledger.record(event)
        if isinstance(event, _ALARMING) or (isinstance(event, Fill) and not event.strategy):
            self.alarms += 1

    def allow(self, order: Order) -> None:
        """The risk check has let *order* pass."""
        self._allowed.add(order.id)

    def leave(self, request: Order | Cancel | Replace, portfolio: Portfolio, *, is_journaled: bool) -> None:
        """*request* leaves."""
        if not is_journaled:
            self.hold(
                "I1", isinstance(request, Cancel), f"{named(request)} leaves and cannot be written down"
            )
            return
        self.sent[named(request)] += 1
        written = self.ledger.requests[named(request)]
        self.hold(
            "I11", self.sent[named(request)] <= written, f"{named(request)} leaves and is not on record"
        )
        if isinstance(request, Order):
            self.hold("I6", request.id in self._allowed, f"{request.id} leaves and no risk check was asked")
            self._allowed.discard(request.id)
            is_free = not portfolio.halted or request.reduce_only
            self.hold("I7", is_free, f"{request.id} leaves although trading is halted: {portfolio.halted}")
            disagreed = list(portfolio.breaks.values()) or not portfolio.reconciled
            self.hold("I6", not disagreed, f"{request.id} leaves although the books disagree: {disagreed}")

    def step(self, life: Life) -> None:
        """An input was taken to its end."""
        portfolio, sequence = life.portfolio, life.engine.sequence
        recorded = f"{self._sequence} events on record, the engine says {sequence}"
        self.hold("I10", sequence == self._sequence, recorded)
        back = f"time went back from {self._time} to {portfolio.time}"
        self.hold("I18", portfolio.time >= self._time, back)
        self._time = portfolio.time
        for symbol in self._symbols:
            position, sum_of = portfolio.position(symbol), self.ledger.lots(symbol)
            ours = position.quantity
            self.hold("I3", ours == sum_of, f"{symbol}: we hold {ours}, our trades add up to {sum_of}")
            cost = self.ledger.positions.get(symbol, (ZERO, ZERO))[1]
            is_cost = abs(position.cost - cost) < _ROUNDING
            self.hold("I4", is_cost, f"{symbol}: what is open cost {cost}, and is booked at {position.cost}")
        costs = ((symbol, each.cost) for symbol, each in portfolio.positions.items())
        self._hold_cash("our", portfolio.cash, costs)
        for order_id, state in portfolio.orders.items():
            self.hold("I8", state.filled <= state.most, f"{order_id} filled {state.filled} of {state.most}")
        told = f"{self.alarms} alarming events, {life.pager.alerts} alerts"
        self.hold("I13", life.pager.alerts >= self.alarms, told)

    def _hold_cash(self, whose: str, cash: Decimal, costs: Iterable[tuple[str, Decimal]]) -> None:
        left, must = self.ledger.less(cash, costs), self.ledger.unspent
        text = f"{whose} cash less what is open is {left}, our trades leave {must}"
        self.hold("I4", abs(left - must) < _ROUNDING, text)

    # The exchange.

    def arrived(self, exchange: Exchange) -> None:
        """An order has reached the exchange."""
        last = exchange.orders[-1]
        self.hold("I2", exchange.arrivals[last.id] == 1, f"{last.id} is at the exchange twice")
        if self._is_bounded:
            most, least = exchange.exposure(last.symbol)
            is_within = least >= -LIMIT and most <= LIMIT
            self.hold(
                "I5",
                is_within or self._is_out_of_order(exchange, last.symbol),
                f"{last.symbol}: {least} to {most} lots may be held, the limit is {LIMIT}",
            )

    def _is_out_of_order(self, exchange: Exchange, symbol: str) -> bool:
        """Whether a trade of *symbol* is untold although a later one was told, and was not counted with.

        What reduces is counted up to what there is to reduce, and nobody could know that it has done so. An
        order that ended is counted no more, where the exchange does not say how much of it had filled.
        """
        reducing = {each.id for each in exchange.orders if each.reduce_only or not exchange.counts}
        is_untold = False
        for trade_id, fill in exchange.fills.items():
            if fill.symbol == symbol and trade_id in self.ledger.trades and is_untold:
                return True
            is_untold |= (
                fill.symbol == symbol and trade_id not in self.ledger.trades and fill.order_id in reducing
            )
        return False

    # The end, when all has been calm for a while.

    def settled(self, portfolio: Portfolio, exchange: Exchange) -> None:
        """Our books and the exchange's say the same, and no order waits for anything."""
        for state in portfolio.orders.values():
            is_known = (
                state.status not in (OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW) and not state.unanswered
            )
            self.hold("I1", is_known, f"{state.order.id} is {state.status.value} still")
        risky = [each.id for each in exchange.orders if each.is_working and each.id and not each.reduce_only]
        self.hold("I7", not (portfolio.halted and risky), f"trading is halted, and {risky} work on")
        for symbol in self._symbols:
            ours = portfolio.position(symbol).quantity
            theirs = exchange.positions.get(symbol, (ZERO, ZERO))[0]
            self.hold("I3", ours == theirs, f"{symbol}: we hold {ours}, the exchange says {theirs}")
        self.hold(
            "I3", self.ledger.trades.keys() == exchange.fills.keys(), "our trades are not the exchange's"
        )
        costs = ((symbol, cost) for symbol, (_, cost) in exchange.positions.items())
        self._hold_cash("the exchange's", exchange.cash, costs)
        working = {each.id for each in exchange.orders if each.is_working and each.id}
        self.hold(
            "I1",
            working == set(portfolio.orders),
            f"working: {sorted(portfolio.orders)}, theirs {sorted(working)}",
        )
        ours_there = {each.id for each in exchange.orders if each.id}
        missing = ours_there - {order_id for kind, order_id in self.ledger.requests if kind == "Order"}
        self.hold("I1", not missing, f"at the exchange and not on record: {sorted(missing)}")

    def end(self, store: sa.Engine, life: Life, plugins: Mapping[str, object]) -> None:
        """The last journal is whole; folded, it is what the engine knew; repeated, it is the same.

        *plugins* are as they were at its start.
        """
        told = told_in(store, life.run.run)
        self.hold("I9", told == self.lived, "the journal of the last life is not what was recorded")
        again = Portfolio(ACCOUNT, INSTRUMENTS)
        for event in told:
            again.apply(event)
        folded, known = again.snapshot({}), life.portfolio.snapshot({})
        for field in known.__struct_fields__:
            one, other = getattr(folded, field), getattr(known, field)
            self.hold("I10", one == other, f"{field} is {one} from the journal, and was {other}")
        for before, after in zip_longest(told, repeated(read(store, life.run.run), plugins)):
            self.hold("I10", before == after, f"repeated, {before} is {after}")
