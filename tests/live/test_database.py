"""A23: what a live engine does when its journal's database is killed, read-only, slow, cut off or in the way.

It is journal first: what cannot be recorded is not sent, and the engine stops. Nothing that was acknowledged
is lost, and the next engine goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count, takewhile
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from nicegold_ops.app import App
from nicegold_ops.journal import JournalFailed, all_runs, numbered, read
from nicegold_ops.store.place import StoreFailed, open_store
from nicegold_ops.store.queries import outbox_after
from nicegold_ops.store.rebuild import rebuild
from tests.exchange.client import until
from tests.live.engine import Account, on_record
from tests.ops.store.books import rows_of
from tests.services.postgresql import PostgreSQL
from tests.services.toxiproxy import Proxy


@pytest.fixture
def database(server: PostgreSQL) -> str:
    return server.new_database()


@pytest.fixture
def account(server: PostgreSQL, database: str, tmp_path: Path) -> Account:
    return Account(tmp_path, server.url(database))


@pytest.fixture
def store(server: PostgreSQL, database: str) -> Iterator[sa.Engine]:
    """The test's own way to look at it."""
    engine = open_store(server.url(database))
    yield engine
    engine.dispose()


@contextmanager
def stops(said: str) -> Iterator[None]:
    """The engine ends in this, also where it is closed."""
    with pytest.raises(JournalFailed, match=rf"the journal cannot be written: .*{said}"):
        yield


def kill_after(server: PostgreSQL, account: Account, orders: int) -> None:
    until(lambda: len(account.sent) >= orders, "it does not trade as much")
    server.kill()


def trades_until_it_fails(account: Account, app: App) -> None:
    while True:
        account.trade(app)


def is_whole(store: sa.Engine, account: Account) -> None:
    """All that left is on record, once; tables and outbox are what the journal says, no more and no less."""
    # Its own connections may have been cut too.
    store.dispose()
    recorded = on_record(store)
    assert [*dict.fromkeys(recorded)] == recorded
    assert [*dict.fromkeys(account.sent)] == account.sent
    assert set(account.sent) <= set(recorded)
    for run in all_runs(store):
        events = [(number, type(event).__name__) for number, event in numbered(read(store, run.run))]
        with store.connect() as connection:
            told = [
                (each.sequence, each.topic) for each in outbox_after(connection, run.run, 0, limit=100_000)
            ]
        assert [each for each in events if each[1] not in ("Bar", "Snapshot")] == told
        made = rows_of(store, run.run)
        rebuild(store, run.run)
        assert rows_of(store, run.run) == made


def test_a_server_that_is_killed_under_load_stops_the_engine_and_nothing_is_lost_or_doubled(
    account, server, store
):
    for orders in (3, 20, 41, 60):
        with ThreadPoolExecutor(1) as pool:
            with stops(""), account.engine() as app:
                killed = pool.submit(kill_after, server, account, len(account.sent) + orders)
                trades_until_it_fails(account, app)
            killed.result()
        server.start()

        is_whole(store, account)
    with account.engine() as app:
        account.trade(app, 3)
    is_whole(store, account)
    assert on_record(store)[-3:] == account.sent[-3:]


def test_a_server_that_was_killed_is_not_written_to_again_by_the_same_engine(account, server, store):
    with stops(""), account.engine() as app:
        account.trade(app, 3)
        server.kill()
        server.start()
        with stops(""):
            account.trade(app)
        sent = [*account.sent]
        with stops(""):
            account.trade(app)
        assert sent == account.sent
    is_whole(store, account)


def test_a_database_that_became_read_only_stops_the_engine(account, server, database, store):
    with stops("read-only transaction"), account.engine() as app:
        account.trade(app, 3)
        sent = [*account.sent]
        with read_only(server):
            account.trade(app)

    assert sent == account.sent
    is_whole(store, account)


def test_on_a_database_that_is_read_only_no_engine_starts(account, server, store):
    with (
        read_only(server),
        pytest.raises(StoreFailed, match=r"cannot be locked: .*read-only"),
        account.engine(),
    ):
        pass

    assert [] == all_runs(store)


@contextmanager
def read_only(server: PostgreSQL) -> Iterator[None]:
    """As after a failover to a standby."""
    set_for_all(server, "default_transaction_read_only", "on")
    try:
        yield
    finally:
        set_for_all(server, "default_transaction_read_only", "off")


def set_for_all(server: PostgreSQL, name: str, value: str) -> None:
    """Set it for the transactions to come, of sessions that there are too."""
    with server.connect() as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER SYSTEM SET {name} = {value}")
        connection.execute("SELECT pg_reload_conf()")
    with server.connect() as connection:
        until(lambda: connection.execute(f"SHOW {name}").fetchone() == (value,), f"{name} stays as it was")


def test_a_slow_database_makes_orders_slow_and_loses_none(account, server, database, store, proxy):
    with account.engine(server.url(database, port=proxy.port)) as app:
        account.trade(app, 3)
        proxy.toxic("latency", latency=30)
        began = time.monotonic()
        account.trade(app, 3)
        took = time.monotonic() - began

    assert 6 == len(account.sent)
    # Each waits for its block: for the answers to its statements, and for that of its commit.
    assert took > 3 * 2 * 0.030
    is_whole(store, account)


def test_a_connection_that_falls_silent_holds_the_order_back_and_stops_the_engine_when_it_is_closed(
    account, server, database, store, proxy
):
    with stops(""), account.engine(server.url(database, port=proxy.port)) as app:
        account.trade(app, 3)
        sent = [*account.sent]
        proxy.toxic("timeout", stream="upstream", timeout=300)
        account.trade(app)

    assert sent == account.sent
    is_whole(store, account)


def test_a_lock_that_is_not_let_go_of_stops_the_engine_within_its_patience(account, server, database, store):
    with stops("lock timeout"), account.engine() as app:
        account.trade(app, 3)
        sent = [*account.sent]
        with server.connect(database) as other, other.transaction():
            other.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
            account.trade(app)

    assert sent == account.sent
    is_whole(store, account)


def test_a_block_that_the_database_gave_up_in_a_deadlock_is_written_again(account, server, database, store):
    with account.engine() as app:
        account.trade(app, 3)
        with server.connect(database) as other, ThreadPoolExecutor(1) as pool:
            # It would find the deadlock long after we did.
            other.execute("SET deadlock_timeout = '1min'")
            with other.transaction(force_rollback=True):
                other.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
                trading = pool.submit(account.trade, app)
                waits_for_a_lock(server)
                # Where the block is that waits for it.
                other.execute("LOCK TABLE blocks IN ACCESS EXCLUSIVE MODE")
            trading.result(30)

    assert 1 == deadlocks(server, database)
    assert 4 == len(account.sent)
    is_whole(store, account)


def test_a_block_that_the_database_could_not_put_in_order_is_written_again(account, server, database, store):
    with server.connect() as connection:
        connection.execute(f"ALTER DATABASE {database} SET default_transaction_isolation = 'repeatable read'")
    with account.engine() as app:
        account.trade(app, 3)
        with server.connect(database) as other, ThreadPoolExecutor(1) as pool:
            with other.transaction():
                other.execute("UPDATE fences SET token = token")
                trading = pool.submit(account.trade, app)
                waits_for_a_lock(server)
            trading.result(30)

    assert 4 == len(account.sent)
    is_whole(store, account)


def test_a_database_that_gives_up_each_time_stops_the_engine(account, server, database, store):
    with stops("could not serialize"), account.engine() as app:
        account.trade(app, 3)
        sent = [*account.sent]
        with server.connect(database) as connection:
            connection.execute(ALWAYS_GIVES_UP)
        account.trade(app)

    assert sent == account.sent
    is_whole(store, account)


#: What cannot be put in order however often it is tried.
ALWAYS_GIVES_UP = """
    CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE 'could not serialize access' USING ERRCODE = 'serialization_failure'; END$$;
    CREATE TRIGGER give_up BEFORE INSERT ON blocks EXECUTE FUNCTION give_up()
"""


def waits_for_a_lock(server: PostgreSQL) -> None:
    """Return once a session waits for another's."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with server.connect() as connection:
        until(lambda: connection.execute(waiting).fetchone() != (0,), "nobody waits for the lock")


def deadlocks(server: PostgreSQL, database: str) -> int:
    with server.connect() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = %s"
        until(lambda: connection.execute(query, (database,)).fetchone() != (0,), "there was no deadlock")
        found = connection.execute(query, (database,)).fetchone()
    assert found is not None
    count: int = found[0]
    return count


# Cut off.


@pytest.mark.parametrize(("stream", "step"), [("upstream", 150), ("downstream", 80)])
def test_a_connection_that_is_cut_leaves_a_block_wholly_there_or_not_at_all(
    account, server, database, store, proxy, stream, step
):
    """Cut after so many bytes on the way to the server, or from it: along a block, and closer at its end."""

    def cut(after: int) -> Cut:
        return cut_off(
            account, server.url(database, port=proxy.port), proxy, store, "limit_data", stream, after
        )

    along = [*takewhile(lambda each: not each.has_left, map(cut, count(1, step)))]
    end = [cut(after) for after in range((len(along) - 1) * step, len(along) * step + 2, 4)]

    # Not there and not sent; there and sent; and there, but the answer that says so was lost: it is not sent.
    assert {Cut(False, False), Cut(True, True), Cut(True, False)} >= {*along, *end}
    assert {Cut(False, False), Cut(True, True)} <= {*along, *end}
    assert stream == "upstream" or Cut(True, False) in end
    is_whole(store, account)


def test_a_connection_that_is_reset_leaves_a_block_wholly_there_or_not_at_all(
    account, server, database, store, proxy
):
    way = server.url(database, port=proxy.port)
    outcomes = {cut_off(account, way, proxy, store, "reset_peer", "downstream", ms) for ms in range(12)}

    assert Cut(False, True) not in outcomes
    assert Cut(False, False) in outcomes
    is_whole(store, account)


class Cut(NamedTuple):
    """What became of an order: whether its block is there, and whether it has left."""

    is_there: bool
    has_left: bool


def cut_off(
    account: Account, way: str, proxy: Proxy, store: sa.Engine, toxic: str, stream: str, after: int
) -> Cut:
    """An engine's life in which the connection is cut while it records its third order."""
    with suppress(JournalFailed), account.engine(way) as app:
        account.trade(app, 2)
        recorded, sent = on_record(store, app.run), len(account.sent)
        proxy.toxic(toxic, stream=stream, **{"bytes" if toxic == "limit_data" else "timeout": after})
        with suppress(JournalFailed):
            account.trade(app)
        outcome = Cut(on_record(store, app.run) != recorded, len(account.sent) > sent)
        proxy.heal()
    return outcome
