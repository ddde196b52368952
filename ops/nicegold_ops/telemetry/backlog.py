"""Events that wait to be counted: some hundreds at once cost a third of what each costs when it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from nicegold import Event
from nicegold_ops.forks import lock

_MOST = 250


class Backlog:
    """Keeps what the trading thread tells until *count* takes it: when there is much, or before a reading."""

    def __init__(self, count: Callable[[Event], None]) -> None:
        self._count = count
        self._waiting: deque[Event] = deque()
        self._turn = lock()

    def take(self, event: Event) -> None:
        """Keep *event*, in its order."""
        self._waiting.append(event)
        if len(self._waiting) >= _MOST:
            self.settle()

    def settle(self) -> None:
        """Count what waits; from any thread. Whoever comes while another counts does not wait for it."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            for _ in range(len(self._waiting)):
                self._count(self._waiting.popleft())
        finally:
            self._turn.release()
