"""What the engine's events add up to: orders by state, refusals, failures, and how the engine is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nicegold import (
    Accepted,
    Bar,
    Event,
    Fill,
    Finished,
    Halted,
    HaltLifted,
    Order,
    OrderState,
    OrderStatus,
    Placed,
    PluginFailed,
    Quote,
    Refused,
    Rejected,
    Snapshot,
    Started,
    Vetoed,
)
from nicegold.books import TERMINAL
from nicegold.host import ENGINE
from nicegold.orders import advance
from nicegold_ops.telemetry.counts import Cell, Counts, Histograms, LabelGuard
from nicegold_ops.telemetry.metrics import Labels

STATES = ("starting", "running", "halted", "finished")

#: What an order of a broker that nobody named is counted under.
UNKNOWN = "unknown"

#: s, and parts of the price.
ACK_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SLIPPAGE_BOUNDS = (*(-0.001, -0.0005, -0.0001, 0.0), *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01))

#: Orders of one broker, strategy and type, by the state they came into.
_Row: TypeAlias = Mapping[OrderStatus | None, Cell]
#: In a row, what stands for an order that never left.
_VETOED = None


class EventCounters:
    """Counts what it is told, on the trading thread; any thread may read.

    *refused* counts market data by feed and reason. *failed* is told when counting fails: it must
    not fail the engine.
    """

    def __init__(self, guard: LabelGuard, refused: Counts, failed: Callable[[], None]) -> None:
        self.state = STATES[0]
        #: The broker of an order, unless its Placed names one.
        self.broker = UNKNOWN
        self.orders = Counts(guard)
        self.rejects = Counts(guard)
        self.failures = Counts(guard)
        self.acks = Histograms(guard, ACK_BOUNDS)
        self.slippage = Histograms(guard, SLIPPAGE_BOUNDS)
        self._refused_market = refused
        self._failed = failed
        self._rejected = self.rejects.cell("broker", "rejected")
        self._rows: dict[Labels, _Row] = {}
        #: The orders that may still fill, and for each the row that its states are counted in.
        self._states: dict[str, OrderState] = {}
        self._row_of: dict[str, _Row] = {}
        handlers = self._handlers()
        # How often, and what else there is to do: one look-up is all that a bar costs.
        self._told: dict[type[Event], list[Any]] = {
            kind: [0, handlers.get(kind, self._advance)] for kind in _kinds()
        }
        self._told |= {Bar: [0, None], Quote: [0, None]}
        #: Market events by kind that somebody else has counted: they come too often to be told of each.
        self.read: Mapping[type[Event], list[int]] = {}

    def count(self, event: Event) -> None:
        """Count *event*. Never raises."""
        try:
            told = self._told[type(event)]
            told[0] += 1
            if told[1] is not None:
                told[1](event)
        except Exception:
            self._failed()

    def measure_orders(self) -> None:
        """From now on, also observe how fast orders were accepted and how well they filled."""
        self.acks.child(self.broker)
        self._told[Accepted][1] = self._accept
        self._told[Fill][1] = self._fill

    # What it came to.

    def told(self) -> list[tuple[Labels, float]]:
        """Events by their name."""
        read = {kind: cell[0] for kind, cell in self.read.items()}
        return [
            ((kind.__name__,), float(count + read.get(kind, 0))) for kind, (count, _) in self._told.items()
        ]

    @property
    def open_orders(self) -> int:
        """Orders that may still fill."""
        return len(self._states)

    @property
    def unknown_orders(self) -> int:
        """Orders of which nobody knows whether the venue has them."""
        # list() copies in one step under the interpreter lock; a loop could meet a change.
        states = list(self._states.values())
        return sum(each.status is OrderStatus.UNKNOWN for each in states)

    def unanswered_orders(self) -> list[str]:
        """The ids of those of which the venue has said nothing yet."""
        states = list(self._states.values())
        return [each.order.id for each in states if each.status is OrderStatus.PENDING_NEW]

    # How it comes to it.

    def _handlers(self) -> dict[type[Event], Callable[[Any], None]]:
        return {
            Order: self._add_order,
            Vetoed: self._add_veto,
            Placed: self._place,
            Rejected: self._reject,
            PluginFailed: lambda event: self.failures.add(event.hook, event.plugin),
            Refused: lambda event: self._refused_market.add(event.plugin, "refused"),
            Started: lambda event: self._become("running"),
            Halted: lambda event: self._become("halted"),
            HaltLifted: lambda event: self._become("running"),
            Snapshot: self._resume,
            Finished: lambda event: self._become("finished"),
        }

    def _become(self, state: str) -> None:
        self.state = state

    def _resume(self, snapshot: Snapshot) -> None:
        """Know what an earlier run left; its orders were counted there. Of our own it tells nothing new."""
        if snapshot.halted:
            self._become("halted")
        for state in snapshot.working:
            if state.order.id not in self._states:
                self._states[state.order.id] = state
                self._row_of[state.order.id] = self._row(self.broker, state.order)

    def _add_order(self, order: Order) -> None:
        state = self._states[order.id] = OrderState(order)
        row = self._row_of[order.id] = self._row(self.broker, order)
        row[state.status][0] += 1

    def _add_veto(self, vetoed: Vetoed) -> None:
        self._row(self.broker, vetoed.order)[_VETOED][0] += 1
        for objection in vetoed.objections:
            self.rejects.add("engine" if objection.plugin == ENGINE else "risk", objection.plugin)

    def _place(self, placed: Placed) -> None:
        state = self._states.get(placed.order_id)
        if state is not None and placed.broker:
            self._row_of[placed.order_id] = self._row(placed.broker, state.order)

    def _accept(self, accepted: Accepted) -> None:
        state = self._states.get(accepted.order_id)
        self._advance(accepted)
        # What came into doubt may have been accepted before.
        if state is not None and state.status is OrderStatus.PENDING_NEW:
            self.acks.observe(max(0, accepted.time - state.order.time) / 1e9, self.broker)

    def _fill(self, fill: Fill) -> None:
        state = self._states.get(fill.order_id)
        self._advance(fill)
        if state is not None:
            order = state.order
            asked = order.price if order.stop_price is None else order.stop_price
            if asked is not None:
                worse = float((fill.price - asked) / asked) * order.side.sign
                self.slippage.observe(worse, order.strategy, order.order_type.value)

    def _reject(self, rejected: Rejected) -> None:
        self._rejected[0] += 1
        self._advance(rejected)

    def _advance(self, event: Event) -> None:
        order_id: str = getattr(event, "order_id", "")
        before = self._states.get(order_id)
        if before is None:
            return
        after = self._states[order_id] = advance(before, event)
        if after.status is before.status:
            return
        self._row_of[order_id][after.status][0] += 1
        if after.status in TERMINAL:
            del self._states[order_id], self._row_of[order_id]

    def _row(self, broker: str, order: Order) -> _Row:
        """The order's row. All states are in it from the first on, so that rates can be taken."""
        key = (broker, order.strategy, order.order_type)
        row = self._rows.get(key)
        if row is None:
            labels = (broker, order.strategy, order.order_type.value)
            row = self._rows[key] = {
                status: self.orders.cell(*labels, "vetoed" if status is _VETOED else status.value)
                for status in (_VETOED, *OrderStatus)
            }
        return row


def _kinds() -> list[type[Event]]:
    """Every event that the engine tells."""
    return [kind for kind in Event.__subclasses__() if kind.__module__.startswith("nicegold.")]
