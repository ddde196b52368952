"""Since when something has been waiting, by the times at which somebody looked."""

from __future__ import annotations

from collections.abc import Callable, Iterable


class Waiting:
    """Remembers when each was first seen: what is told by orders bears the market's time, not ours.

    *waiting* tells which wait now, *wall* the time (ns UTC).
    """

    def __init__(self, waiting: Callable[[], Iterable[str]], wall: Callable[[], int]) -> None:
        self._waiting = waiting
        self._wall = wall
        self._since: dict[str, int] = {}

    def oldest(self) -> int:
        """Look; answers when that was first seen which has waited longest (ns UTC), 0 for none."""
        now = self._wall()
        self._since = {each: self._since.get(each, now) for each in self._waiting()}
        return min(self._since.values(), default=0)
