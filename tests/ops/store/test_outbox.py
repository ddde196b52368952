from __future__ import annotations

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from nicegold import Event, Expired, Halted
from nicegold.testing import bar, market_order, quote
from nicegold_ops.journal import Journal, Run
from nicegold_ops.store.outbox import cursor_of, discard, move_cursor, publish
from nicegold_ops.store.place import open_store
from nicegold_ops.store.queries import outbox_after, runs_behind
from tests.ops.store.test_projections import STARTED, books, numbered_from

RUNS = [Run("a", "live", 1), Run("b", "paper", 2), Run("c", "backtest", 3)]
GONE = Expired(order_id="s-1", time=1)
HALTED = Halted(plugin="drawdown", reason="down 5 %", time=2)


@pytest.fixture
def store(store: sa.Engine) -> sa.Engine:
    """A store with three runs that have told nobody anything."""
    for run in RUNS:
        Journal(store, run, cause=[0], durable=False, by_reference=False)
    return store


def put(store: sa.Engine, run: str, *events: Event, first: int = 1) -> None:
    with store.begin() as connection:
        publish(connection, run, numbered_from(first, *events), created_at=7)


def payloads(store: sa.Engine, run: str, sequence: int = 0) -> list[tuple[int, str, Any]]:
    with store.connect() as connection:
        found = outbox_after(connection, run, sequence)
    return [(each.sequence, each.topic, msgspec.json.decode(each.payload)) for each in found]


def test_what_is_told_is_the_event_as_the_journal_has_it(store):
    put(store, "a", market_order(), GONE)

    assert [(1, "Order"), (2, "Expired")] == [each[:2] for each in payloads(store, "a")]
    assert {"event": "Expired", "order_id": "s-1", "time": 1} == payloads(store, "a", 1)[0][2]


def test_the_market_and_what_was_said_before_are_not_told(store):
    put(store, "a", bar(), quote(1.0, 2.0), books().snapshot({}), HALTED)

    assert [(4, "Halted")] == [each[:2] for each in payloads(store, "a")]


def test_a_configuration_in_which_there_may_be_secrets_stays_at_home(store):
    put(store, "a", msgspec.structs.replace(STARTED, configuration='password = "hunter2"'))

    [(_, topic, said)] = payloads(store, "a")
    assert ("Started", "") == (topic, said["configuration"])


def test_what_is_put_there_twice_is_there_once(store):
    put(store, "a", GONE, HALTED)
    put(store, "a", HALTED, GONE, first=2)

    assert [1, 2, 3] == [each[0] for each in payloads(store, "a")]


def test_a_reader_has_a_cursor_in_each_run_that_never_goes_back(store):
    with store.begin() as connection:
        assert 0 == cursor_of(connection, "shipper", "a")
        for sequence in (5, 9, 7):
            move_cursor(connection, "shipper", "a", sequence)
        move_cursor(connection, "webhooks", "a", 1)

        assert [9, 1, 0] == [
            cursor_of(connection, *whose) for whose in (("shipper", "a"), ("webhooks", "a"), ("shipper", "b"))
        ]


def test_a_reader_is_told_where_there_is_something_to_read(store):
    put(store, "a", GONE, HALTED)
    put(store, "b", GONE)

    with store.begin() as connection:
        assert {"a": 0, "b": 0} == runs_behind(connection, "shipper")
        move_cursor(connection, "shipper", "a", 1)
        move_cursor(connection, "shipper", "b", 1)
        assert {"a": 1} == runs_behind(connection, "shipper")
        assert {"a": 0, "b": 0} == runs_behind(connection, "webhooks")


def test_a_reader_misses_nothing_where_another_run_commits_first(server):
    """Two accounts write at once: what began first ends last, and is read all the same."""
    store = open_store(server.url(server.new_database()))
    with store.connect() as slow:
        publish(slow, "a", numbered_from(1, GONE), created_at=7)
        put(store, "b", GONE)
        with store.begin() as connection:
            assert {"b": 0} == runs_behind(connection, "shipper")
            move_cursor(connection, "shipper", "b", 1)
        slow.commit()

    with store.connect() as connection:
        assert {"a": 0} == runs_behind(connection, "shipper")
        assert [1] == [each.sequence for each in outbox_after(connection, "a", 0)]
    store.dispose()


def test_what_every_reader_is_done_with_can_go(store):
    put(store, "a", GONE, HALTED, GONE)
    put(store, "b", GONE)

    with store.begin() as connection:
        discard(connection, "a", 2)

    assert [[3], [1]] == [[each[0] for each in payloads(store, run)] for run in "ab"]
