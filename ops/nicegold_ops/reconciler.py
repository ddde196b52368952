"""Asks the venues: what they believe, and what became of orders in doubt.

A thread of its own, since a venue may be slow or silent and an order must not wait for it. What is
answered goes into the engine's inbox like anything else from outside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from nicegold import Absent, Event, Order, OrderStatus, PluginFailed, Portfolio, Statement
from nicegold.answers import Replies, Reply

#: Seconds between two statements; while something is in doubt, between two questions about it.
EVERY, SOON = 10.0, 1.0
#: A statement reaches so far (ns) behind the last that was had: venues book some trades late.
_OVERLAP = 3_600_000_000_000

Fetch = Callable[[int], Replies]
Find = Callable[[Order], Replies]
Put = Callable[[Event | Statement, str], object]


class Reconciler:
    """Puts what venues answer into the inbox with *put*.

    *fetch* and *find* are the brokers' calls by their name; *sequence* tells how far the journal is.
    *since* is the time (ns UTC) from which the venues' past is of interest.
    """

    def __init__(
        self,
        fetch: Mapping[str, Fetch],
        find: Mapping[str, Find],
        put: Put,
        portfolio: Portfolio,
        sequence: Callable[[], int],
        since: int,
    ) -> None:
        self._fetch = fetch
        self._find = find
        self._put = put
        self._portfolio = portfolio
        self._sequence = sequence
        self._since = dict.fromkeys(fetch, since)
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
        return EVERY if is_agreed and not self._doubtful() else SOON

    def ask(self) -> None:
        """Ask everybody everything once."""
        for order in self._doubtful():
            self._ask_about(order)
        for broker, fetch in self._fetch.items():
            self._ask_for_statement(broker, fetch)

    def _ask_for_statement(self, broker: str, fetch: Fetch) -> None:
        asked = self._sequence()
        for reply in self._sound(fetch(self._since[broker])):
            statement: Statement = reply.value
            self._since[broker] = max(0, statement.time - _OVERLAP)
            self._put(replace(statement, asked=asked), broker)

    def _ask_about(self, order: Order) -> None:
        for broker, find in self._find.items():
            asked = self._sequence()
            for reply in self._sound(find(order)):
                for event in reply.value:
                    answer = replace(event, asked=asked) if isinstance(event, Absent) else event
                    self._put(answer, broker)

    def _sound(self, replies: Replies) -> Iterable[Reply]:
        """The replies that are answers; of the others, that there was none."""
        for reply in replies:
            what = reply.plugin, reply.hook
            if reply.error is None:
                self._silent.discard(what)
                yield reply
            elif what not in self._silent:
                self._silent.add(what)
                time = self._portfolio.time
                failure = PluginFailed(plugin=reply.plugin, hook=reply.hook, error=reply.reason, time=time)
                self._put(failure, reply.plugin)

    def _doubtful(self) -> list[Order]:
        # list() copies in one step under the interpreter lock; a loop could meet a change.
        states = list(self._portfolio.orders.values())
        return [each.order for each in states if each.status is OrderStatus.UNKNOWN]
