"""Events that wait to be counted: some hundreds at once cost a third of what each costs when it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock

from nicegold import Event

MOST = 250


class Backlog:
    """Keeps what the trading thread tells until *count* takes it: when there is much, or before a reading."""

    def __init__(self, count: Callable[[Event], None]) -> None:
        self._count = count
        self.waiting: deque[Event] = deque()
        self._turn = Lock()

    def take(self, event: Event) -> None:
        """Keep *event*, in its order."""
        self.waiting.append(event)
        if len(self.waiting) >= MOST:
            self.settle()

    def settle(self) -> None:
        """Count what waits; from any thread. Whoever comes while another counts does not wait for it."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            for _ in range(len(self.waiting)):
                self._count(self.waiting.popleft())
        finally:
            self._turn.release()
