"""What is done beside the calls of a cycle: its input waited for its turn, and the journal was written.

The trading thread notes it, the one that reads the flight recorder takes it. Of most cycles nobody will ask.
"""

from __future__ import annotations

from collections import deque

import msgspec

#: What waits for the next look, some tenths of a second.
_MOST = 100_000


class Beside(msgspec.Struct, frozen=True):
    """The input came from the plugin *source* at *since* (ns UTC), "" and 0 where nobody noted it.

    *commits* are when the journal began to be written and when it was on the disk, ns UTC, and in what kind
    of failure that ended, "" for none.
    """

    source: str = ""
    since: int = 0
    commits: tuple[tuple[int, int, str], ...] = ()


NOTHING = Beside()


class BesideLog:
    """Notes for the input whose number is in the cell *cause*."""

    def __init__(self, cause: list[int]) -> None:
        self._cause = cause
        self._inputs: deque[tuple[int, str, int]] = deque()
        self._commits: deque[tuple[int, int, int, str]] = deque()

    def received(self, source: str, since: int) -> None:
        """The input in hand was handed over by *source* at *since*."""
        if len(self._inputs) < _MOST:
            self._inputs.append((self._cause[0], source, since))

    def committed(self, began: int, ended: int, failed: str) -> None:
        """The journal was written from *began* to *ended*, or *failed*."""
        if len(self._commits) < _MOST:
            self._commits.append((self._cause[0], began, ended, failed))

    def until(self, done: int) -> dict[int, Beside]:
        """What was noted up to the input *done*, by its cause; it is told once."""
        commits: dict[int, list[tuple[int, int, str]]] = {}
        while self._commits and self._commits[0][0] <= done:
            cause, began, ended, failed = self._commits.popleft()
            commits.setdefault(cause, []).append((began, ended, failed))
        inputs: dict[int, tuple[str, int]] = {}
        while self._inputs and self._inputs[0][0] <= done:
            cause, source, since = self._inputs.popleft()
            inputs[cause] = (source, since)
        return {
            cause: Beside(*inputs.get(cause, ("", 0)), tuple(commits.get(cause, ())))
            for cause in {**inputs, **commits}
        }
