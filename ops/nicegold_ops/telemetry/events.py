"""What the engine's events add up to: orders by state, refusals, failures, and how the engine is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from nicegold import (
    Bar,
    Event,
    Finished,
    Halted,
    Objection,
    Order,
    OrderState,
    OrderStatus,
    Placed,
    PluginFailed,
    Quote,
    Refused,
    Rejected,
    Started,
    Vetoed,
)
from nicegold.host import ENGINE
from nicegold.orders import advance

from nicegold_ops.telemetry import metrics
from nicegold_ops.telemetry.counts import Counts, LabelGuard
from nicegold_ops.telemetry.metrics import Labels

STATES = ("starting", "running", "halted", "finished")

#: What an order of a broker that nobody named is counted under.
UNKNOWN = "unknown"

_STATUSES = (*(status.value for status in OrderStatus), "vetoed")


class _Working(msgspec.Struct, frozen=True):
    """An order that may still fill, and who has it."""

    state: OrderState
    broker: str

    @property
    def labels(self) -> Labels:
        return (self.broker, self.state.order.strategy, self.state.order.order_type.value)


class EventCounters:
    """Counts what it is told, on the trading thread; any thread may read.

    *refused* counts market data by feed and reason. *failed* is told when counting fails: it must not
    fail the engine.
    """

    def __init__(self, guard: LabelGuard, refused: Counts, failed: Callable[[], None]) -> None:
        self.state = STATES[0]
        #: The broker of an order, unless its Placed names one.
        self.broker = UNKNOWN
        self.orders = Counts(metrics.ORDERS, guard)
        self.rejects = Counts(metrics.ORDER_REJECTS, guard)
        self.failures = Counts(metrics.PLUGIN_FAILURES, guard)
        self.rejects.add("broker", "rejected", by=0)
        self._refused = refused
        self._failed = failed
        self._working: dict[str, _Working] = {}
        # How often, and whether there is more to do: one look-up is all that a bar costs.
        self._told = {kind: [0, kind not in (Bar, Quote)] for kind in _kinds()}

    def count(self, event: Event) -> None:
        """Count *event*. Never raises."""
        try:
            told = self._told[type(event)]
            told[0] += 1
            if told[1]:
                self._take(event)
        except Exception:
            self._failed()

    # What it came to.

    def told(self) -> Iterable[tuple[Labels, float]]:
        """Events by their name."""
        return [((kind.__name__,), float(count)) for kind, (count, _) in self._told.items()]

    @property
    def open_orders(self) -> int:
        """Orders that may still fill."""
        return len(self._working)

    @property
    def unknown_orders(self) -> int:
        """Orders of which nobody knows whether the venue has them."""
        # list() copies in one step under the interpreter lock; a loop could meet a change.
        working = list(self._working.values())
        return sum(each.state.status is OrderStatus.UNKNOWN for each in working)

    # How it comes to it.

    def _take(self, event: Event) -> None:
        match event:
            case Order():
                self._enter(event.id, _Working(OrderState(event), self.broker))
            case Vetoed():
                self._veto(event.order, event.objections)
            case Placed() if event.broker:
                self._place(event)
            case Rejected():
                self.rejects.add("broker", "rejected")
                self._advance(event.order_id, event)
            case PluginFailed():
                self.failures.add(event.hook, event.plugin)
            case Refused():
                self._refused.add(event.plugin, "refused")
            case Started() | Halted() | Finished():
                self.state = _STATE_AFTER[type(event)]
            case _:
                self._advance(getattr(event, "order_id", ""), event)

    def _veto(self, order: Order, objections: Iterable[Objection]) -> None:
        self._reach((self.broker, order.strategy, order.order_type.value), "vetoed")
        for objection in objections:
            self.rejects.add("engine" if objection.plugin == ENGINE else "risk", objection.plugin)

    def _place(self, placed: Placed) -> None:
        working = self._working.get(placed.order_id)
        if working is not None:
            self._working[placed.order_id] = _Working(working.state, placed.broker)

    def _advance(self, order_id: str, event: Event) -> None:
        before = self._working.get(order_id)
        if before is None:
            return
        after = _Working(advance(before.state, event), before.broker)
        if after.state.status is before.state.status:
            self._working[order_id] = after
        else:
            self._enter(order_id, after)

    def _enter(self, order_id: str, working: _Working) -> None:
        """The order has come into another state."""
        self._reach(working.labels, working.state.status.value)
        if working.state.is_working:
            self._working[order_id] = working
        else:
            self._working.pop(order_id, None)

    def _reach(self, labels: Labels, reached: str) -> None:
        """Count *reached*; the other states are there from the first on, so that rates can be taken."""
        for status in _STATUSES:
            self.orders.add(*labels, status, by=int(status == reached))


_STATE_AFTER: dict[type[Event], str] = {Started: "running", Halted: "halted", Finished: "finished"}


def _kinds() -> list[type[Event]]:
    """Every event that the engine tells."""
    return [kind for kind in Event.__subclasses__() if kind.__module__ == Event.__module__]
