"""The projections of a run, made again from its journal."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from nicegold_ops.journal import BLOCK_SIZE, Told, caused, read
from nicegold_ops.store.place import written
from nicegold_ops.store.projections import forget, project


def rebuild(engine: sa.Engine, run: str) -> None:
    """Make the tables of *run* anew: of a backtest, or where they are damaged or were never made.

    Not of a run that is being written. Nobody waits for it long, as it goes by some thousand events, and one
    that is interrupted can be begun again. Raises DataError when the journal or the tables cannot be read
    and StoreFailed when the tables cannot be written.
    """
    with written(engine) as connection:
        forget(connection, run)
    for part in _parts(caused(read(engine, run))):
        with written(engine) as connection:
            project(connection, run, part)


def _parts(events: Iterator[Told]) -> Iterator[list[Told]]:
    part: list[Told] = []
    for each in events:
        part.append(each)
        if len(part) == BLOCK_SIZE:
            yield part
            part = []
    yield part
