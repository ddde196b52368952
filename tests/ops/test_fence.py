"""One live engine an account."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from nicegold import Expired
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.fence import Fenced, FileFence, ServerFence, fence_of
from nicegold_ops.journal import Journal, Run, all_runs, read
from nicegold_ops.store.place import StoreFailed, open_store
from nicegold_ops.store.tables import fences, runs
from tests.services.postgresql import PostgreSQL, postgresql
from tests.services.prometheus import until

pytestmark = pytest.mark.slow

GONE = Expired(order_id="s-1", time=1)

HOLDER = """
import sys, time
from pathlib import Path
from nicegold_ops.fence import FileFence
fence = FileFence(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that trades the account."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "held\n" == process.stdout.readline()
        yield process
        process.kill()


def test_a_second_engine_is_refused_and_told_who_trades(tmp_path, holder):
    with pytest.raises(ConfigurationError, match=rf"process {holder.pid}\) trades this account live"):
        FileFence(tmp_path)


def test_a_paused_engine_keeps_its_place(tmp_path, holder):
    holder.send_signal(signal.SIGSTOP)

    with pytest.raises(ConfigurationError, match="trades this account live"):
        FileFence(tmp_path)


def test_the_place_of_a_killed_engine_is_free(tmp_path, holder):
    holder.send_signal(signal.SIGSTOP)
    holder.kill()
    holder.wait()

    FileFence(tmp_path).close()


def test_one_that_has_ended_leaves_its_place_to_the_next(tmp_path):
    for _ in range(2):
        FileFence(tmp_path).close()


# In a database.


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        yield running


@pytest.fixture
def database(server: PostgreSQL) -> str:
    """The name of the database of an account."""
    return server.new_database()


@pytest.fixture
def store(server: PostgreSQL, database: str) -> Iterator[sa.Engine]:
    engine = open_store(server.url(database))
    yield engine
    engine.dispose()


@pytest.fixture
def first(store: sa.Engine) -> Iterator[ServerFence]:
    """The engine that trades the account."""
    fence = ServerFence(store)
    yield fence
    fence.close()


@pytest.fixture
def rival(server: PostgreSQL, database: str, first: ServerFence) -> Iterator[sa.Engine]:
    """The same store on another machine."""
    engine = open_store(server.url(database))
    yield engine
    engine.dispose()


def check(store: sa.Engine, fence: ServerFence) -> None:
    with store.begin() as connection:
        fence.check(connection)


def token_in(store: sa.Engine) -> int | None:
    with store.connect() as connection:
        return connection.execute(sa.select(fences.c.token)).scalar()


def test_the_account_of_a_database_is_fenced_there_and_that_of_a_file_in_its_folder(store, tmp_path):
    file = open_store(tmp_path / "journal.sqlite")

    kinds = []
    for each in (store, file):
        fence = fence_of(each, tmp_path)
        kinds.append(type(fence))
        fence.close()
    file.dispose()

    assert [ServerFence, FileFence] == kinds


def test_a_second_engine_on_a_database_is_refused_and_told_who_trades(first, rival, store):
    with pytest.raises(ConfigurationError) as refused:
        ServerFence(rival)

    said = str(refused.value)
    assert said.startswith(str(store.url))
    assert f"another engine (nicegold, process {os.getpid()} at 127.0.0.1, process " in said
    assert "trades this account live; stop it first, or name another database in [run] store" in said
    check(store, first)


def test_engines_of_two_databases_do_not_meet(first, server):
    other = open_store(server.url(server.new_database()))

    ServerFence(other).close()
    other.dispose()


def test_each_engine_has_a_higher_token_than_those_before_it(store):
    tokens = []
    for _ in range(3):
        fence = ServerFence(store)
        tokens.append(token_in(store))
        fence.close()

    assert [1, 2, 3] == tokens


def test_who_was_cut_off_goes_on_until_another_takes_over(first, store, server, database):
    server.unlock(database)

    check(store, first)


def test_who_was_taken_over_writes_nothing_any_more(first, rival, store, server, database):
    journal = Journal(
        store, Run("a", "live", 1), cause=[0], durable=True, by_reference=False, guard=first.check
    )
    server.unlock(database)
    ServerFence(rival).close()

    journal.record(GONE)
    for _ in range(2):
        with pytest.raises(
            Fenced, match=r"another engine has taken over this account \(its token is 2, ours 1\)"
        ):
            journal.flush()

    assert [] == list(read(store, "a"))


def test_a_run_of_who_was_taken_over_does_not_begin(first, rival, store, server, database):
    server.unlock(database)
    ServerFence(rival).close()

    with pytest.raises(Fenced):
        Journal(store, Run("a", "live", 1), cause=[0], durable=True, by_reference=False, guard=first.check)

    assert [] == all_runs(store)


def test_nobody_takes_over_while_a_block_is_being_written(first, rival, store, server, database):
    server.unlock(database)
    with ThreadPoolExecutor(1) as pool, store.begin() as connection:
        first.check(connection)
        taking = pool.submit(ServerFence, rival)
        waits_for_a_lock(server)
        assert not taking.done()
        connection.commit()
        fence = taking.result(30)

    with pytest.raises(Fenced):
        check(store, first)
    fence.close()


def test_who_is_paused_before_that_is_not_waited_for_and_cannot_commit(first, rival, store, server, database):
    server.unlock(database)
    with store.connect() as paused:
        paused.execute(runs.insert(), [{"run": each, "mode": "live", "started_at": 1} for each in "ab"])

        ServerFence(rival).close()

        with pytest.raises(Fenced):
            first.check(paused)


def test_who_is_paused_between_its_check_and_its_commit_is_waited_for_until_the_server_undoes_it(
    first, rival, store, server, database
):
    server.unlock(database)
    with store.connect() as paused:
        paused.execute(runs.insert().values(run="a", mode="live", started_at=1))
        first.check(paused)

        ServerFence(rival).close()

        with pytest.raises(sa.exc.DBAPIError, match="idle-in-transaction timeout"):
            paused.execute(sa.select(1))
    assert [] == all_runs(store)


def test_an_account_that_cannot_be_locked_is_not_traded(store, server, database):
    with server.connect() as connection:
        connection.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    store.dispose()

    with pytest.raises(StoreFailed, match=r"the account cannot be locked: .*read-only transaction"):
        ServerFence(store)


def waits_for_a_lock(server: PostgreSQL) -> None:
    """Return once a session waits for another's."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

    with server.connect() as connection:
        until(lambda: connection.execute(waiting).fetchone() != (0,), "nobody waits for the lock")
