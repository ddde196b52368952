"""Asks the venues: what they believe, and what became of orders in doubt.

A thread of its own, since a venue may be slow or silent and an order must not wait for it. What is
answered goes into the engine's inbox like anything else from outside.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from nicegold import (
    DAY,
    SECOND,
    Absent,
    Event,
    Found,
    Order,
    OrderStatus,
    PluginFailed,
    Portfolio,
    Statement,
)
from nicegold.answers import Replies, Reply

#: Seconds between two statements; while something is in doubt, between two questions about it.
EVERY, SOON = 10.0, 1.0
#: A statement reaches so far (ns) behind what is known: venues book some trades late. While books differ it
#: reaches further each time, as a trade may bear the time of a clock that was wrong.
_OVERLAP, _FURTHEST = 3_600 * SECOND, 2 * DAY

#: An order of which its broker said that it was sent is owed an answer as its changes are: that may get lost.
_OWED = frozenset({OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE})

Fetch = Callable[[int], Replies]
Find = Callable[[Order], Replies]
Put = Callable[[Event | Statement, str], object]
#: Told of each question for a statement: to which broker, and whether it was answered.
Asked = Callable[[str, bool], object]


def _nobody(broker: str, has_answered: bool) -> None:
    """Nobody wants to know."""


class Reconciler:
    """Puts what venues answer into the inbox with *put*.

    *fetch* and *find* are the brokers' calls by their name; *sequence* tells how far the journal is.
    *since* is the time (ns UTC) from which the venues' past is of interest. Their clocks may differ from
    *wall* (ns UTC) by *tolerance* seconds, besides what an answer takes by *monotonic* (ns); without *wall*
    they are not compared. *told* hears what became of each question for a statement.
    """

    def __init__(
        self,
        fetch: Mapping[str, Fetch],
        find: Mapping[str, Find],
        put: Put,
        portfolio: Portfolio,
        sequence: Callable[[], int],
        since: int,
        *,
        wall: Callable[[], int] | None = None,
        monotonic: Callable[[], int] = time.monotonic_ns,
        tolerance: float = 1.0,
        told: Asked = _nobody,
    ) -> None:
        self._fetch = fetch
        self._find = find
        self._put = put
        self._portfolio = portfolio
        self._sequence = sequence
        self._wall, self._monotonic = wall, monotonic
        self._told = told
        self._tolerance = round(tolerance * SECOND)
        #: By broker, up to when its past is known, and how far behind that the last statement reached.
        self._known = dict.fromkeys(fetch, since)
        self._reach = dict.fromkeys(fetch, _OVERLAP)
        #: Orders that the venue owed an answer when we looked last.
        self._owed: set[str] = set()
        #: Whose last answer was none; told once, and again after the next good one.
        self._silent: set[tuple[str, str]] = set()

    def run(self, stop: threading.Event) -> None:
        """Ask until *stop* is set."""
        while not stop.is_set():
            self.ask()
            stop.wait(self.pause())

    def pause(self) -> float:
        """Seconds until it should ask again."""
        is_agreed = self._portfolio.reconciled.issuperset(self._fetch)
        return EVERY if is_agreed and not self._doubtful() and not self._owed else SOON

    def ask(self) -> None:
        """Ask everybody everything once."""
        overdue, self._owed = self._overdue()
        for order in (*self._doubtful(), *overdue, *self._missing()):
            self._ask_about(order)
        for broker, fetch in self._fetch.items():
            self._ask_for_statement(broker, fetch)

    def _ask_for_statement(self, broker: str, fetch: Fetch) -> None:
        asked, wall, began = self._sequence(), self._wall() if self._wall else 0, self._monotonic()
        reach = self._reach[broker] = self._next_reach(broker)
        replies = fetch(max(0, self._known[broker] - reach))
        half = (self._monotonic() - began) // 2
        sound = list(self._sound(replies))
        self._told(broker, bool(sound))
        for reply in sound:
            statement: Statement = reply.value
            self._known[broker] = statement.time
            stamped = replace(statement, asked=asked)
            if wall:
                stamped = replace(stamped, clock=wall + half, slack=self._tolerance + half)
            self._put(stamped, broker)

    def _next_reach(self, broker: str) -> int:
        """How far behind what is known the next statement reaches (ns)."""
        differs = any(name == broker for name, *_ in list(self._portfolio.breaks))
        return min(2 * self._reach[broker], _FURTHEST) if differs else _OVERLAP

    def _ask_about(self, order: Order) -> None:
        for broker, find in self._find.items():
            asked = self._sequence()
            for reply in self._sound(find(order)):
                for event in reply.value:
                    answer = replace(event, asked=asked) if isinstance(event, Absent) else event
                    self._put(answer, broker)
                if reply.value and not isinstance(reply.value[-1], Absent):
                    found = Found(order_id=order.id, time=reply.value[-1].time, asked=asked)
                    self._put(found, broker)

    def _sound(self, replies: Replies) -> Iterable[Reply]:
        """The replies that are answers; of the others, that there was none."""
        for reply in replies:
            what = reply.plugin, reply.hook
            if reply.error is None:
                self._silent.discard(what)
                yield reply
            elif what not in self._silent:
                self._silent.add(what)
                failure = PluginFailed(
                    plugin=reply.plugin, hook=reply.hook, error=reply.reason, time=self._portfolio.time
                )
                self._put(failure, reply.plugin)

    def _overdue(self) -> tuple[list[Order], set[str]]:
        """The orders that are owed an answer and were when we looked last; and the ids of all that are."""
        states = list(self._portfolio.orders.values())
        owed = [each.order for each in states if each.status in _OWED]
        return [order for order in owed if order.id in self._owed], {order.id for order in owed}

    def _missing(self) -> list[Order]:
        """Orders that work for us, of which the venue's statement says something else, or nothing."""
        broken = [about for _, kind, about in list(self._portfolio.breaks) if kind == "order"]
        states = [self._portfolio.order(about) for about in broken]
        return [each.order for each in states if each is not None]

    def _doubtful(self) -> list[Order]:
        # list() copies in one step under the interpreter lock; a loop could meet a change.
        states = list(self._portfolio.orders.values())
        return [each.order for each in states if each.status is OrderStatus.UNKNOWN]
