"""The journal of a run that others look at: its tables and its outbox are written with each block.

All of a block is in one transaction: nobody is told what is not on record, and nothing on record is untold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from nicegold import Event
from nicegold_ops.journal import Journal
from nicegold_ops.store.outbox import publish
from nicegold_ops.store.projections import project


class ProjectedJournal(Journal):
    """Writes one run and what is made of it. *wall* is a clock in ns UTC; for the rest see `Journal`."""

    def __init__(self, *given: Any, wall: Callable[[], int], **named: Any) -> None:
        self._wall = wall
        #: What waits, with its numbers in the run.
        self._told: list[Event] = []
        self._sequences: list[int] = []
        super().__init__(*given, **named)

    def record(self, event: Event) -> None:
        self._told.append(event)
        self._sequences.append(self.sequence + 1)
        super().record(event)

    def flush(self) -> None:
        super().flush()
        self._told.clear()
        self._sequences.clear()

    def _add(self, connection: sa.Connection, block: dict[str, Any]) -> None:
        super()._add(connection, block)
        run = block["run"]
        project(connection, run, self._told, self._sequences)
        publish(connection, run, self._told, self._sequences, created_at=self._wall())
