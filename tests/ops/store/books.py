"""What the tables say of a run, as values that can be compared."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from nicegold import OrderState, Position
from nicegold.books import TERMINAL
from nicegold_ops.store.rows import order_in, position_in
from nicegold_ops.store.tables import busts, fills, orders, positions, vetoes


def rows_of(store: sa.Engine, run: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that the projections have of *run*, by table."""
    with store.connect() as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(
                    table.select().where(table.c.run == run).order_by(*table.primary_key)
                )
            ]
            for table in (orders, fills, busts, positions, vetoes)
        }


def working(store: sa.Engine, run: str) -> dict[str, OrderState]:
    """The orders that may still fill, by id."""
    with store.connect() as connection:
        states = [order_in(row) for row in connection.execute(orders.select().where(orders.c.run == run))]
    return {state.order.id: state for state in states if state.status not in TERMINAL}


def held(store: sa.Engine, run: str) -> dict[str, Position]:
    """The positions, by symbol."""
    with store.connect() as connection:
        rows = connection.execute(positions.select().where(positions.c.run == run))
        return {row.symbol: position_in(row) for row in rows}
