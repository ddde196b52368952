from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from nicegold import DAY, Event, Objection, OrderType, Side, Vetoed
from nicegold.testing import START, bar
from nicegold_ops.errors import DataError
from nicegold_ops.journal import Journal, Run
from nicegold_ops.store.place import open_store
from nicegold_ops.store.projections import project
from nicegold_ops.store.queries import (
    blocks_between,
    executions,
    fills_between,
    newest_orders,
    newest_runs,
    newest_vetoes,
    order_with_fills,
    positions_of,
    veto_counts,
)
from nicegold_ops.store.tables import blocks
from tests.ops.store.test_projections import STARTED, books, bust, fill, numbered_from, order

pytestmark = pytest.mark.slow

RUNS = [Run("a", "live", 1), Run("b", "paper", 2), Run("c", "paper", 2), Run("d", "backtest", 3)]


def told(store: sa.Engine, *events: Event, run: str = "a") -> None:
    with store.begin() as connection:
        project(connection, run, numbered_from(1, STARTED, *events))


def vetoed(number: int, *plugins: str) -> Vetoed:
    return Vetoed(order=order(number), objections=[Objection(each, "no") for each in plugins], time=number)


def test_runs_come_newest_first_page_by_page(store):
    for run in RUNS:
        Journal(store, run, cause=[0], durable=False, by_reference=False)

    with store.connect() as connection:
        first = newest_runs(connection, limit=2)
        second = newest_runs(connection, before=first[-1], limit=2)
        assert [RUNS[::-1], []] == [first + second, newest_runs(connection, before=second[-1])]


def test_orders_come_newest_first_page_by_page(store):
    told(store, *(order(number) for number in range(1, 6)))
    told(store, order(9), run="b")

    with store.connect() as connection:
        first = newest_orders(connection, "a", limit=2)
        rest = newest_orders(connection, "a", before=first[-1], limit=9)
    assert [(6, "s-5"), (5, "s-4")] == [(each.sequence, each.state.order.id) for each in first]
    assert ["s-3", "s-2", "s-1"] == [each.state.order.id for each in rest]


def test_an_order_comes_with_its_trades_in_their_order(store):
    told(store, order(), order(2), fill(3), fill(1), fill(2, 2), bust(1))

    with store.connect() as connection:
        found, trades = order_with_fills(connection, "a", "s-1")
        assert (None, []) == order_with_fills(connection, "b", "s-1")
    assert found is not None
    assert order() == found.state.order
    assert [(4, fill(3), False), (5, fill(1), True)] == [
        (each.sequence, each.fill, each.busted) for each in trades
    ]


def test_trades_come_by_time_page_by_page(store):
    times = [30, 10, 20, 20, 40]
    told(store, order(), *(fill(trade, time=time) for trade, time in enumerate(times, 1)))
    told(store, fill(9, time=20), run="b")

    with store.connect() as connection:
        everything = fills_between(connection, "a", 10, 41)
        first = fills_between(connection, "a", 10, 40, limit=2)
        rest = fills_between(connection, "a", 10, 40, after=first[-1])
    assert [10, 20, 20, 30, 40] == [each.fill.time for each in everything]
    assert everything[:4] == first + rest


def test_trades_that_were_taken_over_are_where_they_were_told(store):
    known = books()
    for event in (order(), fill(time=10)):
        known.apply(event)
    told(store, known.snapshot({}), fill(2, time=11))

    with store.connect() as connection:
        assert ["t-2"] == [each.fill.trade_id for each in fills_between(connection, "a", 0, 99)]
        assert ["t-1", "t-2"] == [each.fill.trade_id for each in order_with_fills(connection, "a", "s-1")[1]]


def test_positions_come_by_symbol(store):
    told(store, order(), fill())

    with store.connect() as connection:
        [held] = positions_of(connection, "a")
        assert [] == positions_of(connection, "b")
    assert ("XAUUSD", fill().quantity, fill().price) == (held.symbol, held.quantity, held.average_price)


def test_vetoes_come_by_plugin_newest_first_page_by_page(store):
    told(
        store,
        vetoed(1, "limit", "collar"),
        vetoed(2, "limit"),
        vetoed(3, "collar"),
        vetoed(4, "limit", "limit"),
    )

    with store.connect() as connection:
        first = newest_vetoes(connection, "a", "limit", limit=2)
        rest = newest_vetoes(connection, "a", "limit", before=first[-1])
        assert {"collar": 2, "limit": 4} == veto_counts(connection, "a")
    assert [(5, 1), (5, 0), (3, 0), (2, 0)] == [(each.sequence, each.number) for each in first + rest]
    assert ("s-4", "no", 4, order().quantity) == (
        first[0].order_id,
        first[0].reason,
        first[0].time,
        first[0].quantity,
    )


@pytest.mark.parametrize(
    ("first", "last", "numbers"),
    [
        (1, 1, [0]),
        (1, 4, [0, 1]),
        (2, 4, [1]),
        (5, 7, [2, 3]),
        (0, 99, [0, 1, 2, 3]),
        (7, 99, [3]),
        (8, 99, []),
        (-5, 0, []),
        (7, 2, []),
    ],
)
def test_blocks_are_those_that_hold_one_of_the_events(store, first, last, numbers):
    """A run of blocks that end at events 1, 4, 6 and 7."""
    journal = Journal(store, RUNS[0], cause=[0], durable=False, by_reference=False)
    for size in (1, 3, 2, 1):
        for _ in range(size):
            journal.record(bar())
        journal.flush()

    with store.connect() as connection:
        found = blocks_between(connection, "a", first, last)
        assert [] == blocks_between(connection, "b", first, last)
    assert numbers == [each.number for each in found]


def test_a_block_that_is_missing_is_named(store, place):
    journal = Journal(store, RUNS[0], cause=[0], durable=True, by_reference=False)
    for event in (STARTED, order(), order(2)):
        journal.record(event)
    with store.begin() as connection:
        connection.execute(blocks.delete().where(blocks.c.number == 1))

    with store.connect() as connection, pytest.raises(DataError) as failed:
        blocks_between(connection, "a", 1, 3)

    assert f"{place} cannot be read: block 1 of run a is missing" == str(failed.value)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("side", "up"),
        ("order_type", ""),
        ("status", "lost"),
        ("asked", "{"),
        ("price", None),
        ("quantity", 0),
    ],
)
def test_a_cell_that_cannot_be_read_is_an_error_that_names_the_store(store, place, cell, value):
    told(store, order(order_type=OrderType.LIMIT, price=Decimal("1999.50")))
    with store.begin() as connection:
        connection.execute(sa.text(f"UPDATE orders SET {cell} = :value"), {"value": value})  # noqa: S608

    with store.connect() as connection, pytest.raises(DataError, match="cannot be read: ") as failed:
        newest_orders(connection, "a")

    assert str(failed.value).startswith(str(place))


def test_a_number_that_is_none_is_an_error_that_names_the_store(tmp_path):
    """As only SQLite would keep it."""
    store = open_store(tmp_path / "store.sqlite")
    told(store, order())
    with store.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET quantity = 'much'")

    with store.connect() as connection, pytest.raises(DataError, match=r"store\.sqlite cannot be read: "):
        newest_orders(connection, "a")
    store.dispose()


def test_what_was_traded_adds_up_exactly_without_what_was_taken_back(store):
    later = replace(fill(4), time=START + DAY, side=Side.SELL, quantity=Decimal("0.3"), price=Decimal("0.1"))
    told(store, order(), fill(1), replace(fill(2), price=Decimal("2000.1")), fill(3), bust(3), later)

    with store.connect() as connection:
        first, second = executions(connection, "a", 0, START + 2 * DAY)
        assert [second] == executions(connection, "a", START + DAY, START + 2 * DAY)
        assert [] == executions(connection, "b", 0, START + 2 * DAY)

    one = fill(1)
    assert (2, 2 * one.quantity, 2 * one.commission) == (first.trades, first.quantity, first.commission)
    assert one.quantity * (one.price + Decimal("2000.1")) == first.value
    assert (one.price + Decimal("2000.1")) / 2 == first.price
    assert (Side.SELL, Decimal("0.03"), Decimal("0.1")) == (second.side, second.value, second.price)
    assert DAY == second.day - first.day
