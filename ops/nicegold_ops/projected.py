"""The journal of a run that others look at: its tables and its outbox are written with each block.

All of a block is in one transaction: nobody is told what is not on record, and nothing on record is untold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from nicegold import Event
from nicegold_ops.calls import CallLog, write
from nicegold_ops.journal import Journal, JournalFailed, Told
from nicegold_ops.store.outbox import publish
from nicegold_ops.store.projections import project


class ProjectedJournal(Journal):
    """Writes one run and what is made of it. *wall* is a clock in ns UTC; for the rest see `Journal`.

    What *calls* has is written along. *committed* is told when each block began to be written and when it was
    on the disk, ns UTC, and in what kind of failure that ended, "" for none.
    """

    def __init__(
        self,
        *given: Any,
        wall: Callable[[], int],
        calls: CallLog | None = None,
        committed: Callable[[int, int, str], None] | None = None,
        **named: Any,
    ) -> None:
        self._wall = wall
        self._calls = calls
        self._committed = committed
        #: Blocks of calls that go with the next transaction.
        self._due: list[dict[str, Any]] = []
        #: What waits for its block.
        self._told: list[Told] = []
        super().__init__(*given, **named)

    def record(self, event: Event) -> None:
        self._told.append(Told(self.sequence + 1, self._cause[0], event))
        super().record(event)

    def flush(self) -> None:
        if self._calls is not None:
            self._due = self._calls.due(self._wall())
        blocks = self._number
        began = 0 if self._committed is None else self._wall()
        try:
            super().flush()
        except JournalFailed as error:
            if self._committed is not None:
                self._committed(began, self._wall(), type(error).__name__)
            raise
        if self._committed is not None and self._number > blocks:
            self._committed(began, self._wall(), "")
        if self._due and self._number == blocks:
            self._commit(self._add_calls)
        self._told.clear()
        self._due = []

    def _add(self, connection: sa.Connection, block: dict[str, Any]) -> None:
        super()._add(connection, block)
        run = block["run"]
        self._add_calls(connection)
        project(connection, run, self._told)
        publish(connection, run, self._told, created_at=self._wall())

    def _add_calls(self, connection: sa.Connection) -> None:
        write(connection, self._due)
