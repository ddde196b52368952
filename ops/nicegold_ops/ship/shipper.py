"""Brings the audit trail to its copy, page by page, for as long as it takes.

The cursor of a page is moved when all of it has arrived, and not before: what is sent twice has one id, and
nothing is dropped. One page is in memory at a time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import sqlalchemy as sa

from nicegold_ops.audit.document import Document
from nicegold_ops.audit.trail import Page, done, pages
from nicegold_ops.ship.elasticsearch import Arrived, Busy, Refused
from nicegold_ops.store.place import StoreFailed
from nicegold_ops.store.queries import outbox_behind, runs_behind
from nicegold_ops.telemetry.logs import logger
from nicegold_ops.telemetry.outgoing import Relay

#: Whose cursor it is, and the sink's name in metrics.
SINK = "elasticsearch"
#: Seconds before the first try again, and at most.
_FIRST, _MOST = 0.5, 60.0
_NUMBER = re.compile(r"\d+")
_log = logger("shipper")


class Stream(Protocol):
    """Where documents go; see `AuditStream`."""

    def prepare(self) -> bool: ...

    def send(self, documents: Sequence[Document]) -> Arrived: ...


class Shipper:
    """Ships from *store* to *stream*.

    *wait* takes seconds, and answers whether to stop; *chance* is in [0, 1), *wall* ns UTC. *outgoing* is
    told of each round in which something is sent. A page that is refused as it is holds up its run, and not
    the others.
    """

    def __init__(
        self,
        store: sa.Engine,
        stream: Stream,
        *,
        wait: Callable[[float], bool],
        chance: Callable[[], float],
        wall: Callable[[], int],
        idle: float = 0.5,
        outgoing: Relay | None = None,
    ) -> None:
        #: Documents by what became of them; requests that are to be sent again.
        self.results: Counter[str] = Counter(
            dict.fromkeys(("created", "duplicate", "rejected", "retried"), 0)
        )
        self._store = store
        self._stream = stream
        self._wait = wait
        self._chance = chance
        self._wall = wall
        #: When a round was last gone through, and when without trouble, ns UTC; 0 before the first.
        self.tried = self.beat = 0
        self._idle = idle
        self._outgoing = outgoing or Relay()
        self._failures = 0
        self._is_prepared = False
        self._said = ""
        #: Whose page was refused; it is sent again when there is nothing else to send.
        self._held: set[tuple[str, str]] = set()

    def run(self, *, until_done: bool = False) -> None:
        """Ship until `wait` says to stop; with *until_done* also when nothing is behind."""
        while True:
            with self._outgoing.work("audit.ship"):
                shipped, complete = self._round()
            if until_done and not shipped and complete:
                return
            if self._wait(self._pause(shipped, complete)):
                return

    def behind(self) -> tuple[int, int]:
        """How many events have not arrived, and since when the oldest waits (ns UTC, 0 for none)."""
        with self._store.connect() as connection:
            found = [outbox_behind(connection, *each) for each in runs_behind(connection, SINK).items()]
        return sum(count for count, _ in found), min((oldest for _, oldest in found if oldest), default=0)

    def _round(self) -> tuple[int, bool]:
        """One page of each run; how many documents arrived, and whether all went well."""
        shipped, complete = 0, True
        try:
            self._prepare()
            for page in pages(self._store, SINK):
                if (page.reader, page.run) not in self._held:
                    shipped += self._ship(page)
        except (Busy, Refused, StoreFailed) as error:
            self.results["retried"] += 1
            self._outgoing.failed(type(error).__name__)
            self._say(str(error))
            complete = False
        complete = complete and not self._held
        if not shipped:
            self._held.clear()
        self._failures = 0 if shipped or complete else self._failures + 1
        self.tried = self._wall()
        if complete:
            self.beat = self.tried
        return shipped, complete

    def _prepare(self) -> None:
        if not self._is_prepared:
            if not self._stream.prepare():
                _log.warning("the server takes no life-cycle policy: its indices grow without end")
            self._is_prepared = True

    def _ship(self, page: Page) -> int:
        try:
            arrived = self._stream.send(page.documents)
        except Refused as error:
            self.results["rejected"] += len(page.documents)
            self._held.add((page.reader, page.run))
            self._outgoing.failed(type(error).__name__)
            self._say(str(error))
            return 0
        done(self._store, page)
        self.results["created"] += arrived.created
        self.results["duplicate"] += arrived.duplicate
        return len(page.documents)

    def _pause(self, shipped: int, complete: bool) -> float:
        """Seconds until the next round: none while there is more, longer and longer while it fails."""
        if shipped:
            return 0.0
        if complete:
            return self._idle
        return self._chance() * min(_MOST, _FIRST * 2.0**self._failures)

    def _say(self, why: str) -> None:
        """Once for the same reason, as it may go on for hours; sizes and addresses in it may differ."""
        reason = _NUMBER.sub("", why)
        if reason != self._said:
            self._said = reason
            _log.warning("the audit trail is not shipped", **{"event.reason": why})
