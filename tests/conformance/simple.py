"""A simple broker that conforms, its venue, and the rig for both. docs/write-a-broker.md is cut from here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from msgspec.structs import replace

from nicegold import (
    Absent,
    Accepted,
    Cancel,
    Canceled,
    CancelRejected,
    Execution,
    Fill,
    Health,
    Order,
    OrderStatus,
    OrderType,
    Placed,
    Rejected,
    Replace,
    Replaced,
    Side,
    Statement,
    TimeInForce,
    VenueOrder,
    hookimpl,
    plugin,
)
from nicegold.conformance import ACCOUNT, INSTRUMENT, Rig

T = TypeVar("T")
ZERO = Decimal(0)
#: Account currency a lot.
COMMISSION = Decimal(7)


@dataclass
class Resting:
    """An order at the venue, and all that happened to it."""

    order: Order
    listed: VenueOrder
    executions: list[Execution] = field(default_factory=list)
    ended: int = 0


class Venue:
    """The other side: what a client library reaches. One session at a time; a newer one ends the older."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._session = self._time = self.sendings = 0
        self._orders: dict[str, Resting] = {}
        self._events: list[Execution] = []
        self._quote: tuple[Decimal, Decimal] | None = None
        self._positions = self._cost = ZERO
        self._cash = ACCOUNT.cash
        #: What is on the way: who sent it, and what it does once it is there.
        self._held: list[tuple[int, Callable[[], object]]] = []
        #: What goes wrong: unplugged, apart and silent last; the others happen once.
        self.faults: set[str] = set()

    # What its clients ask. Raises ConnectionError where there is no session, TimeoutError for no answer.

    def connect(self) -> int:
        """A new session, and its number."""
        with self._changed:
            if self.faults & {"unplugged", "apart", "silent"}:
                raise ConnectionError("the venue cannot be reached")
            self._session += 1
            self._changed.notify_all()
            return self._session

    def submit(self, session: int, order: Order) -> Accepted | Rejected:
        with self._changed:
            self._check(session)
            if self._takes("lose_request"):
                raise TimeoutError("no answer")
            if self._takes("hold_request"):
                self._held.append((session, lambda: self._take(order)))
                raise TimeoutError("no answer")
            answer = self._take(order)
            if self._takes("lose_answer"):
                raise TimeoutError("no answer")
            return self._answer(answer)

    def cancel(self, session: int, order_id: str) -> None:
        with self._changed:
            self._check(session)
            if self._takes("hold_request"):
                self._held.append((session, lambda: self._cancel(order_id)))
                raise TimeoutError("no answer")
            self._cancel(order_id)

    def _cancel(self, order_id: str) -> None:
        if (found := self._changeable(order_id)) is not None:
            self._end(found, OrderStatus.CANCELED)
            self._tell(Canceled(order_id=order_id, time=self._tick()))

    def replace(self, session: int, order_id: str, quantity: Decimal | None, price: Decimal | None) -> None:
        with self._changed:
            self._check(session)
            if (found := self._changeable(order_id)) is not None:
                listed = found.listed
                new = replace(listed, quantity=quantity or listed.quantity, price=price or listed.price)
                found.listed = new
                told = Replaced(order_id=order_id, time=self._tick(), quantity=new.quantity, price=new.price)
                self._tell(told)
                self._meet()

    def events(self, session: int, after: int) -> Iterator[Execution]:
        """Fills, ends and changes after the first *after*, as they come; it ends with the session."""
        while True:
            with self._changed:
                self._check(session)
                if len(self._events) <= after or "silent" in self.faults:
                    self._changed.wait()
                    continue
                event = self._events[after]
            after += 1
            yield event

    def find(self, session: int, order_id: str) -> list[Execution] | None:
        with self._changed:
            self._check(session)
            found = self._orders.get(order_id)
            return self._answer(list(found.executions) if found else None)

    def statement(self, session: int, since: int) -> Statement:
        with self._changed:
            self._check(session)
            statement = Statement(
                time=self._time,
                since=since,
                orders=[
                    each.listed for each in self._orders.values() if not each.ended or each.ended >= since
                ],
                fills=[each for each in self._events if isinstance(each, Fill) and each.time >= since],
                positions={INSTRUMENT.symbol: self._positions},
                cash=self._cash,
                costs={INSTRUMENT.symbol: self._cost},
            )
            return self._answer(statement)

    def close(self, session: int) -> None:
        with self._changed:
            if session == self._session:
                self._session += 1
                self._changed.notify_all()

    @property
    def told(self) -> int:
        """How many events there were."""
        with self._changed:
            return len(self._events)

    # What a rig does.

    @property
    def is_contacted(self) -> bool:
        return self._session > 0

    @property
    def orders(self) -> list[VenueOrder]:
        with self._changed:
            return [each.listed for each in self._orders.values()]

    def fault(self, kind: str, happens: bool = True) -> None:
        with self._changed:
            (self.faults.add if happens else self.faults.discard)(kind)
            if kind == "apart" and happens:
                self._session += 1
            self._changed.notify_all()

    def quote(self, bid: Decimal, ask: Decimal) -> None:
        with self._changed:
            self._quote = bid, ask
            self._meet()

    def release(self) -> None:
        """What is on the way arrives; what an older session sent, nobody takes."""
        with self._changed:
            for session, arrive in self._held:
                if session == self._session:
                    arrive()

    # Its books.

    def _check(self, session: int) -> None:
        if session != self._session:
            raise ConnectionError("the session has ended")

    def _takes(self, fault: str) -> bool:
        happens = fault in self.faults
        self.faults.discard(fault)
        return happens

    def _answer(self, answer: T) -> T:
        if "silent" in self.faults:
            raise TimeoutError("no answer")
        return answer

    def _tick(self) -> int:
        self._time += 1
        return self._time

    def _take(self, order: Order) -> Accepted | Rejected:
        self.sendings += 1
        if order.id in self._orders:
            first = self._orders[order.id].executions[0]
            assert isinstance(first, Accepted | Rejected)
            return first
        name = f"V-{len(self._orders) + 1}"
        listed = VenueOrder(
            order_id=order.id,
            venue_order_id=name,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            price=order.price,
        )
        resting = self._orders[order.id] = Resting(order, listed)
        time = self._tick()
        answer: Accepted | Rejected
        if order.time_in_force is TimeInForce.GTC:
            answer = Accepted(order_id=order.id, time=time, venue_order_id=name)
        else:
            reason = f"there is no {order.time_in_force.value} here"
            answer = Rejected(order_id=order.id, time=time, reason=reason)
            self._end(resting, OrderStatus.REJECTED)
        resting.executions.append(answer)
        self._meet()
        return answer

    def _changeable(self, order_id: str) -> Resting | None:
        found = self._orders.get(order_id)
        if found is None or found.ended:
            self._tell(CancelRejected(order_id=order_id, time=self._tick(), reason="it does not work here"))
            return None
        return found

    def _meet(self) -> None:
        for resting in self._orders.values():
            if self._quote is None or resting.ended:
                continue
            order, price = resting.order, self._quote[resting.order.side is Side.BUY]
            limit = resting.listed.price
            if order.order_type is OrderType.MARKET or order.side.sign * ((limit or price) - price) >= 0:
                # In two trades, as often at a venue.
                first = INSTRUMENT.to_quantity(resting.listed.quantity / 2)
                for quantity in (first, resting.listed.quantity - first):
                    if quantity:
                        self._trade(resting, quantity, price)
                self._end(resting, OrderStatus.FILLED)

    def _trade(self, resting: Resting, quantity: Decimal, price: Decimal) -> None:
        order, commission = resting.order, quantity * COMMISSION
        fill = Fill(
            order_id=order.id,
            trade_id=f"T-{len(self._events) + 1}",
            time=self._tick(),
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=price,
            commission=commission,
        )
        self._book(fill.signed_quantity, price)
        self._cash -= commission
        resting.listed = replace(resting.listed, filled=resting.listed.filled + quantity)
        self._tell(fill)

    def _book(self, signed: Decimal, price: Decimal) -> None:
        """At average cost; what closes earns against it."""
        if self._positions * signed < 0:
            closed = -min(abs(signed), abs(self._positions)) * (1 if signed > 0 else -1)
            cost = self._cost * closed / self._positions
            self._cash += (closed * price - cost) * INSTRUMENT.lot_size
            self._positions -= closed
            self._cost -= cost
            signed += closed
        self._positions += signed
        self._cost += signed * price

    def _end(self, resting: Resting, status: OrderStatus) -> None:
        resting.ended = self._tick()
        resting.listed = replace(resting.listed, status=status)

    def _tell(self, execution: Execution) -> None:
        self._events.append(execution)
        resting = self._orders.get(getattr(execution, "order_id", ""))
        if resting is not None:
            resting.executions.append(execution)
        self._changed.notify_all()


# [broker]
@plugin
class Simple:
    """Trade at *venue*, over one session at a time."""

    venue: Venue

    @hookimpl
    def startup(self) -> None:
        # Held while a request is under way: a new session would cut it off.
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._trouble = ""
        self._session = self.venue.connect()
        # What came before, the statement tells.
        self._seen = self.venue.told

    @hookimpl
    def shutdown(self) -> None:
        self._stopped.set()
        with self._lock:
            self.venue.close(self._session)

    @hookimpl
    def health(self) -> Health:
        return Health(not self._trouble, self._trouble or "connected")

    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        with self._lock:
            return self.venue.submit(self._session, order)

    @hookimpl
    def cancel_order(self, cancel: Cancel) -> Placed:
        with self._lock:
            self.venue.cancel(self._session, cancel.order_id)
        return Placed(order_id=cancel.order_id, time=cancel.time)

    @hookimpl
    def replace_order(self, replace: Replace) -> Placed:
        with self._lock:
            self.venue.replace(self._session, replace.order_id, replace.quantity, replace.price)
        return Placed(order_id=replace.order_id, time=replace.time)

    @hookimpl
    def stream_executions(self) -> Iterator[Execution]:
        while not self._stopped.is_set():
            session = self._session
            try:
                for execution in self.venue.events(session, self._seen):
                    self._seen += 1
                    yield execution
            except ConnectionError:
                self._connect_again(session)
                self._stopped.wait(0.01)

    def _connect_again(self, ended: int) -> None:
        """Unless `find_order` has, or we are shut down."""
        with self._lock:
            if self._session != ended or self._stopped.is_set():
                return
            try:
                self._session, self._trouble = self.venue.connect(), ""
            except ConnectionError as error:
                self._trouble = str(error)

    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        try:
            return self.venue.statement(self._session, since)
        except OSError:
            return None

    @hookimpl
    def find_order(self, order: Order) -> list[Execution | Absent] | None:
        try:
            # A request may be on the way. What an older session than this has sent, nobody takes.
            with self._lock:
                self._session = self.venue.connect()
            found = self.venue.find(self._session, order.id)
        except OSError:
            return None
        return [Absent(order_id=order.id, time=order.time)] if found is None else [*found]


# [rig]
class SimpleRig(Rig):
    """A fresh venue, and the broker that *make* builds for it."""

    def __init__(self, make: Callable[[Venue], object] = lambda venue: Simple(venue=venue)) -> None:
        self._make = make

    def broker(self) -> object:
        self._venue = Venue()
        return self._make(self._venue)

    def close(self) -> None:
        """Whoever still listens hears that it is over."""
        self._venue.fault("apart")

    def move(self, bid: Decimal, ask: Decimal) -> None:
        self._venue.quote(bid, ask)

    def refused_order(self, order_id: str) -> Order:
        return Order(
            symbol=INSTRUMENT.symbol,
            side=Side.BUY,
            quantity=Decimal("0.10"),
            time_in_force=TimeInForce.FOK,
            id=order_id,
        )

    def lose_next_request(self) -> None:
        self._venue.fault("lose_request")

    def lose_next_answer(self) -> None:
        self._venue.fault("lose_answer")

    def hold_next_request(self) -> None:
        self._venue.fault("hold_request")

    def release(self) -> None:
        self._venue.release()

    def silence(self, silent: bool) -> None:
        self._venue.fault("silent", silent)

    def disconnect(self, apart: bool) -> None:
        self._venue.fault("apart", apart)

    def unplug(self) -> None:
        self._venue.fault("unplugged")

    def orders_at_venue(self) -> list[VenueOrder]:
        return self._venue.orders

    def sendings(self) -> int:
        return self._venue.sendings

    def is_contacted(self) -> bool:
        return self._venue.is_contacted


# [end]
