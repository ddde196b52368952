"""The chains of a store: each run's events and its calls, and one of what people did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from nicegold_ops.actions import CHAIN
from nicegold_ops.journal import all_runs
from nicegold_ops.store.place import readable
from nicegold_ops.store.tables import actions, blocks, calls

_CALLS = "/calls"


class Place(NamedTuple):
    """Where the blocks of *writer* are: the rows of *table* that *its* picks."""

    writer: str
    table: sa.Table
    its: sa.ColumnElement[bool]

    def find(self, *columns: str, number: int | None = None) -> sa.Select[tuple[Any, ...]]:
        """These columns of its blocks, or of the one of that *number*."""
        query = sa.select(*(self.table.c[name] for name in columns)).where(self.its)
        return query if number is None else query.where(self.table.c.number == number)


def chains(store: sa.Engine) -> Iterator[Place]:
    """All of them."""
    for run in all_runs(store):
        yield from chains_of(run.run)
    yield chain_of(CHAIN)


def chains_of(run: str) -> tuple[Place, Place]:
    """The two of *run*."""
    return chain_of(run), chain_of(run + _CALLS)


def chain_of(writer: str) -> Place:
    """The one of that name."""
    if writer == CHAIN:
        return Place(writer, actions, sa.true())
    run = writer.removesuffix(_CALLS)
    table = blocks if run == writer else calls
    return Place(writer, table, table.c.run == run)


def first_of(store: sa.Engine, query: sa.Select[tuple[Any, ...]]) -> Any:
    """The first row of *query*, None without one."""
    with readable(store), store.connect() as connection:
        return connection.execute(query.limit(1)).first()
