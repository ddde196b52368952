"""The journal of a session: block, tables and outbox in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa

from nicegold import Accepted, Bar, Canceled, Event, Order
from nicegold.testing import START, bar
from nicegold_ops.journal import JournalFailed, Run, numbered, read
from nicegold_ops.projected import ProjectedJournal
from nicegold_ops.store.place import open_store, said_of
from nicegold_ops.store.queries import outbox_after
from nicegold_ops.store.rebuild import rebuild
from nicegold_ops.store.tables import blocks, orders
from nicegold_ops.trace import traceparent
from tests.ops.store.books import rows_of
from tests.ops.store.test_projections import STARTED, bust, fill, order

RUN = "r"
ACCEPTED = Accepted(order_id="s-1", time=START, venue_order_id="v-1")
TOLD: list[Event] = [STARTED, bar(), order(), ACCEPTED, fill(1), bar(number=2), fill(2), bust(1)]


@pytest.fixture
def journal(store: sa.Engine) -> ProjectedJournal:
    return projected(store)


def projected(
    store: sa.Engine, wall: Callable[[], int] = lambda: 7, cause: list[int] | None = None, **terms: Any
) -> ProjectedJournal:
    given: dict[str, Any] = {"durable": True, "by_reference": False} | terms
    return ProjectedJournal(store, Run(RUN, "live", 1), cause=cause or [0], wall=wall, **given)


def sent(store: sa.Engine) -> list[tuple[int, str, int]]:
    with store.connect() as connection:
        return [(each.sequence, each.topic, each.created_at) for each in outbox_after(connection, RUN, 0)]


def test_the_tables_are_what_a_rebuild_makes_of_the_journal(store):
    cause = [0]
    journal = projected(store, cause=cause)
    for number, event in enumerate(TOLD, 1):
        # What came from outside is its own cause, as the engine says it; an order comes of the bar before it.
        cause[0] = cause[0] if isinstance(event, Order) else number
        journal.record(event)

    written = rows_of(store, RUN)
    rebuild(store, RUN)
    assert rows_of(store, RUN) == written
    assert all(written[name] for name in ("orders", "fills", "busts", "positions"))


def test_an_order_carries_the_trace_of_the_input_from_which_it_came(store):
    cause = [0]
    journal = projected(store, cause=cause)
    for number, event in enumerate(TOLD, 1):
        cause[0] = cause[0] if isinstance(event, Order) else number
        journal.record(event)
    journal.flush()

    [row] = rows_in(store, orders)
    assert 2 == TOLD.index(order())
    assert traceparent(RUN, 2) == row.traceparent
    with store.connect() as connection:
        told = outbox_after(connection, RUN, 0)
    assert [(1, 1), (3, 2), (4, 4), (5, 5), (7, 7), (8, 8)] == [(each.sequence, each.cause) for each in told]


def test_each_event_that_others_are_told_is_in_the_outbox_with_its_number_and_the_time(store):
    clock = iter(range(100, 200))
    journal = projected(store, wall=lambda: next(clock))
    for event in TOLD:
        journal.record(event)

    numbers = [(number, type(event).__name__) for number, event in numbered(read(store, RUN))]
    assert [each for each in numbers if each[1] != "Bar"] == [each[:2] for each in sent(store)]
    # The first block has only the start, the second the order with the bar before it.
    assert [100, 101, 102] == [each[2] for each in sent(store)][:3]


def test_market_data_that_are_only_counted_have_their_numbers_too(store):
    journal = projected(store, by_reference=True)
    journal.record(STARTED)
    journal.read[Bar][:] = [41, START]
    journal.record(order())

    assert [(1, "Started", 7), (43, "Order", 7)] == sent(store)
    assert [(43, "Order")] == [
        (number, type(event).__name__) for number, event in numbered(read(store, RUN)) if number > 1
    ]


def test_what_waits_for_its_block_is_nowhere_yet(journal, store, place):
    for event in (STARTED, order(), Canceled(order_id="s-1", time=START)):
        journal.record(event)

    another = open_store(place)
    assert [1, 2] == [each[0] for each in sent(another)]
    assert ["pending_new"] == [row.status for row in rows_in(another, orders)]
    journal.flush()
    assert [1, 2, 3] == [each[0] for each in sent(another)]
    assert ["canceled"] == [row.status for row in rows_in(another, orders)]
    another.dispose()


@pytest.mark.parametrize("table", ["orders", "outbox"])
def test_a_block_whose_tables_cannot_be_written_is_not_there_either(journal, store, table):
    journal.record(STARTED)
    with store.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {table}")

    with pytest.raises(JournalFailed, match=f"the journal cannot be written: .*{table}"):
        journal.record(order())

    assert [STARTED] == list(read(store, RUN))


def test_tables_that_cannot_be_gone_on_from_stop_the_journal(journal, store):
    journal.record(STARTED)
    journal.record(order())
    with store.begin() as connection:
        connection.exec_driver_sql("DELETE FROM positions")

    with pytest.raises(JournalFailed, match="has no position in XAUUSD of run r to go on from"):
        journal.record(fill())

    assert [STARTED, order()] == list(read(store, RUN))


def test_after_a_failure_nothing_is_written_also_where_it_could_be(journal, store):
    journal.record(STARTED)
    with store.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE orders RENAME TO elsewhere")
    with pytest.raises(JournalFailed) as first:
        journal.record(order())
    with store.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO orders")

    for write in (journal.flush, lambda: journal.record(order(2))):
        with pytest.raises(JournalFailed) as again:
            write()
        assert first.value is again.value
    assert 1 == len(rows_in(store, blocks))


def rows_in(store: sa.Engine, table: sa.Table) -> list[sa.Row[tuple[object, ...]]]:
    with store.connect() as connection:
        return [*connection.execute(table.select())]


def test_each_commit_is_told_with_its_times_and_what_it_failed_with(store):
    told: list[tuple[int, int, str]] = []
    times = count(100)
    written = projected(store, wall=lambda: next(times), committed=lambda *said: told.append(said))
    written.record(STARTED)
    with store.begin() as connection:
        connection.exec_driver_sql("DROP TABLE blocks")

    with pytest.raises(JournalFailed):
        written.record(order())

    assert ["", "JournalFailed"] == [failed for *_, failed in told]
    assert all(began < ended for began, ended, _ in told)
    said = said_of(store)
    assert store.dialect.name == said["db.system.name"]
    assert (store.dialect.name == "postgresql") == ("db.namespace" in said)
