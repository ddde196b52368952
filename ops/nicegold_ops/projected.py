"""The journal of a run that others look at: its tables and its outbox are written with each block.

All of a block is in one transaction: nobody is told what is not on record, and nothing on record is untold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from nicegold import Event
from nicegold_ops.journal import Journal, Told
from nicegold_ops.store.outbox import publish
from nicegold_ops.store.projections import project


class ProjectedJournal(Journal):
    """Writes one run and what is made of it. *wall* is a clock in ns UTC; for the rest see `Journal`."""

    def __init__(self, *given: Any, wall: Callable[[], int], **named: Any) -> None:
        self._wall = wall
        #: What waits for its block.
        self._told: list[Told] = []
        super().__init__(*given, **named)

    def record(self, event: Event) -> None:
        self._told.append(Told(self.sequence + 1, self._cause[0], event))
        super().record(event)

    def flush(self) -> None:
        super().flush()
        self._told.clear()

    def _add(self, connection: sa.Connection, block: dict[str, Any]) -> None:
        super()._add(connection, block)
        run = block["run"]
        project(connection, run, self._told)
        publish(connection, run, self._told, created_at=self._wall())
