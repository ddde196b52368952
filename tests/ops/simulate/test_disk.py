"""SQLite keeps its promises on the crash disk, and the disk breaks those that nobody gave."""

from __future__ import annotations

import _ctypes
import _sqlite3
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from nicegold import Event, Order, Side
from nicegold_ops.journal import Journal, Run, all_runs, open_journal, read
from nicegold_ops.simulate import vfs
from nicegold_ops.simulate.connection import Connection
from nicegold_ops.simulate.disk import Crashed, Disk, Fault
from nicegold_ops.simulate.file import File
from nicegold_ops.simulate.vfs import VfsUnavailable

pytestmark = pytest.mark.slow

SEEDS = range(3)
TRANSACTIONS = 6
#: Bytes of the two rows of a transaction: the second one takes more than a page.
PADDING = (300, 5000)
#: The modes of the journal, each with the `synchronous` with which what was committed survives.
DURABLE = [("WAL", "FULL"), ("DELETE", "EXTRA"), ("TRUNCATE", "FULL"), ("PERSIST", "FULL")]


class Liar(Disk):
    """A disk that says it has synced, and has not."""

    def sync(self, name: str | None, file: File) -> None:
        self._operate("sync", name)


@pytest.fixture(autouse=True)
def _sqlite():
    try:
        Disk(0).close()
    except VfsUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk(1)
    yield disk
    disk.close()


def connect(disk: Disk, mode: str = "WAL", synchronous: str = "FULL") -> Connection:
    connection = disk.connect("a.sqlite", isolation_level=None)
    try:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


@pytest.fixture
def opened() -> Iterator[Callable[..., Connection]]:
    """`connect`, whose connections are closed after the test."""
    connections = []

    def opened(*arguments: Any) -> Connection:
        connections.append(connect(*arguments))
        return connections[-1]

    yield opened
    for connection in connections:
        connection.close()


def trade(disk: Disk, committed: list[int], mode: str = "WAL", synchronous: str = "FULL") -> None:
    """Some transactions of two rows each; those whose commit returned are *committed*."""
    with closing(connect(disk, mode, synchronous)) as connection:
        connection.execute("CREATE TABLE fills (number, padding)")
        fill(connection, committed, TRANSACTIONS)


def fill(connection: sqlite3.Connection, committed: list[int], transactions: int = 1_000_000) -> None:
    for number in range(transactions):
        put(connection, number)
        committed.append(number)


def put(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("BEGIN")
    for size in PADDING:
        connection.execute("INSERT INTO fills VALUES (?, ?)", (number, "x" * size))
    connection.execute("COMMIT")


def found(disk: Disk) -> dict[int, int]:
    """The rows of each transaction. Raises sqlite3.DatabaseError if the database is broken."""
    with closing(disk.connect("a.sqlite")) as connection:
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
        if sound != "ok":
            raise sqlite3.DatabaseError(sound)
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchall():
            return {}
        return dict(connection.execute("SELECT number, count(*) FROM fills GROUP BY number").fetchall())


def crashes(kind: type[Disk], mode: str, synchronous: str) -> Iterator[tuple[Disk, list[int]]]:
    """The disk, restarted, after a crash at each of its operations; and what was committed before."""
    for at in count(1):
        for seed in SEEDS:
            disk = kind(seed)
            disk.inject(Fault(effect="crash", at=at))
            committed: list[int] = []
            try:
                trade(disk, committed, mode, synchronous)
                return
            except Crashed:
                disk.restart()
                yield disk, committed
            finally:
                disk.close()


def verdict(disk: Disk, committed: list[int]) -> str:
    try:
        rows = found(disk)
    except sqlite3.DatabaseError:
        return "broken"
    if any(number != len(PADDING) for number in rows.values()):
        return "half"
    return "kept" if list(rows) in (committed, [*committed, len(committed)]) else "lost"


def verdicts(kind: type[Disk], mode: str, synchronous: str) -> dict[str, int]:
    """How many crashes ended how."""
    told: dict[str, int] = {}
    for disk, committed in crashes(kind, mode, synchronous):
        said = verdict(disk, committed)
        told[said] = told.get(said, 0) + 1
    return told


# What SQLite promises.


@pytest.mark.parametrize(("mode", "synchronous"), DURABLE)
def test_what_was_committed_survives_a_crash_at_every_operation(mode, synchronous):
    told = verdicts(Disk, mode, synchronous)

    assert ["kept"] == list(told)
    assert told["kept"] > 100


def test_a_log_that_is_synced_at_checkpoints_only_loses_the_last_commits_and_stays_sound():
    assert {"kept", "lost"} == set(verdicts(Disk, "WAL", "NORMAL"))


def test_a_journal_whose_deletion_was_not_synced_comes_back_and_takes_a_commit_with_it():
    """https://www.sqlite.org/pragma.html#pragma_synchronous: why there is EXTRA."""
    assert {"kept", "lost"} == set(verdicts(Disk, "DELETE", "FULL"))


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_without_syncs_a_crash_loses_commits_and_breaks_the_database(mode):
    assert {"kept", "lost", "broken"} == set(verdicts(Disk, mode, "OFF"))


@pytest.mark.parametrize(("mode", "synchronous"), DURABLE)
def test_on_a_disk_that_lies_about_syncs_commits_are_lost(mode, synchronous):
    told = verdicts(Liar, mode, synchronous)

    # Of a rollback journal that was not synced the database itself breaks, and takes all with it.
    assert told.keys() & {"lost", "broken"}
    assert mode != "WAL" or "lost" in told


def test_a_crash_of_the_recovery_from_a_crash_loses_nothing():
    for at in count(1):
        disk = Disk(at)
        disk.inject(Fault(effect="crash", at=20))
        committed: list[int] = []
        with pytest.raises(Crashed):
            trade(disk, committed, "DELETE", "EXTRA")
        disk.restart()
        disk.inject(Fault(effect="crash", at=at))
        try:
            found(disk)
            break
        except Crashed:
            disk.restart()
            assert "kept" == verdict(disk, committed)
        finally:
            disk.close()
    assert at > 1


# What a crash is.


def test_after_a_crash_every_handle_is_dead(disk, opened):
    connection = opened(disk)
    disk.crash(Random(1))

    with pytest.raises(Crashed, match="its power was cut after operation"):
        connection.execute("SELECT 1")
    with pytest.raises(Crashed):
        disk.connect("b.sqlite")
    disk.restart()
    with pytest.raises(Crashed):
        connection.commit()
    assert [] == opened(disk).execute("SELECT * FROM sqlite_master").fetchall()


def test_a_connection_that_does_not_know_the_disk_gets_an_io_error(disk):
    connection = sqlite3.connect(disk.uri("a.sqlite"), uri=True)
    connection.execute("CREATE TABLE fills (number)")
    disk.crash()

    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        connection.execute("SELECT * FROM fills").fetchall()
    connection.close()


def test_an_engine_reaches_it_by_its_url_alone(disk):
    store = sa.create_engine(f"sqlite:///{disk.uri('a.sqlite')}&uri=true")
    with store.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE fills (number)")
    disk.crash()

    with pytest.raises(sa.exc.OperationalError, match="disk I/O error"), store.begin() as connection:
        connection.exec_driver_sql("INSERT INTO fills VALUES (1)")
    store.dispose()


def test_a_python_whose_sqlite_is_out_of_reach_says_so(monkeypatch):
    monkeypatch.setattr(_sqlite3, "__file__", _ctypes.__file__)
    vfs._library.cache_clear()
    try:
        with pytest.raises(VfsUnavailable, match="gives no access to its file layer"):
            Disk(1)
    finally:
        vfs._library.cache_clear()


def test_a_crash_says_at_which_operation(disk):
    disk.inject(Fault(effect="crash", kind="sync", name="a.sqlite-wal", at=2))

    with pytest.raises(Crashed, match=r"cut at operation \d+ +sync +a\.sqlite-wal +-> crash"):
        trade(disk, [])


def test_a_crash_during_a_checkpoint_after_a_commit_does_not_go_unnoticed(disk, opened):
    connection = opened(disk)
    connection.execute("PRAGMA wal_autocheckpoint = 1")
    disk.inject(Fault(effect="crash", kind="write", name="a.sqlite"))

    with pytest.raises(Crashed):
        connection.execute("CREATE TABLE fills (number, padding)")


def test_what_was_synced_survives_byte_for_byte_and_the_rest_as_the_seed_says():
    file = File(b"s" * 10_000)
    file.write(9_000, b"w" * 9_000)
    left = [file.survivor(Random(seed), 512) for seed in range(100)]

    assert {b"s" * 9_000} == {each[:9_000] for each in left}
    assert b"s" * 10_000 in left
    assert bytes(file.content) in left
    assert any(10_000 < len(each) < 18_000 for each in left)
    assert any(set(each) - set(b"sw\0") for each in left)
    assert left == [file.survivor(Random(seed), 512) for seed in range(100)]


def test_a_crash_before_the_restart_is_decided_by_who_asks(disk):
    disk.inject(Fault(effect="crash", at=20))
    with pytest.raises(Crashed):
        trade(disk, [], "WAL", "OFF")
    images = {str(disk.image(Random(seed))) for seed in range(10)}
    disk.crash(Random(3))
    expected = disk.image(Random(3))
    disk.restart()

    assert expected == disk.files()
    assert len(images) > 1


def test_a_disk_that_did_not_crash_does_not_restart(disk):
    with pytest.raises(RuntimeError, match="call crash"):
        disk.restart()


def test_the_same_seed_and_calls_give_the_same_bytes():
    def run() -> tuple[str, dict[str, bytes]]:
        disk = Disk(7)
        disk.inject(Fault(effect="crash", at=60))
        with pytest.raises(Crashed):
            trade(disk, [])
        disk.restart()
        with closing(disk.connect("a.sqlite")) as connection:
            connection.execute("INSERT INTO fills VALUES (random(), datetime('now'))")
            connection.commit()
        disk.close()
        return disk.story(), disk.files()

    first = run()
    sqlite3.connect(":memory:").execute("SELECT randomblob(100)").connection.close()

    assert first == run()


WRITES = """
import hashlib
from nicegold_ops.simulate.disk import Crashed, Disk, Fault

disk = Disk(7)
disk.inject(Fault(effect="crash", at=25))
try:
    connection = disk.connect("a.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE fills AS SELECT randomblob(20000) AS padding")
    connection.execute("INSERT INTO fills SELECT randomblob(20000)")
except Crashed:
    connection.close()
    disk.restart()
    print(hashlib.sha256(repr(disk.files()).encode()).hexdigest())
"""


def test_it_is_the_same_in_another_process():
    def printed(hash_seed: str) -> str:
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        return subprocess.check_output([sys.executable, "-c", WRITES], env=environment, text=True)

    first = printed("0")

    assert first
    assert first == printed("777")


def test_its_story_can_be_read(disk):
    disk.inject(Fault(effect="crash", at=4))
    with pytest.raises(Crashed):
        trade(disk, [])

    assert [
        "     1  open            a.sqlite",
        "     2  open            a.sqlite-journal",
        "     3  write           a.sqlite-journal  512 bytes at 0",
        "     4  sync            a.sqlite-journal  -> crash",
    ] == disk.story().splitlines()


def test_another_seed_gives_other_bytes():
    def drawn(seed: int) -> bytes:
        with closing(Disk(seed)) as disk, closing(connect(disk)) as connection:
            connection.execute("CREATE TABLE fills (number)")
            return disk.files()["a.sqlite-wal"]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


# Faults.


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_full_disk_keeps_what_was_committed(mode, opened):
    disk = Disk(1, capacity=60_000)
    committed: list[int] = []
    connection = opened(disk, mode)
    connection.execute("CREATE TABLE fills (number, padding)")

    with pytest.raises(sqlite3.OperationalError, match="database or disk is full") as raised:
        fill(connection, committed)

    assert sqlite3.SQLITE_FULL == raised.value.sqlite_errorcode
    assert sum(map(len, disk.files().values())) <= 60_000
    assert committed
    assert "kept" == verdict(disk, committed)
    disk.close()


@pytest.mark.parametrize(
    ("kind", "effect", "code"),
    [
        ("write", "error", sqlite3.SQLITE_IOERR_WRITE),
        ("write", "full", sqlite3.SQLITE_FULL),
        ("write", "short", sqlite3.SQLITE_FULL),
        ("sync", "error", sqlite3.SQLITE_IOERR_FSYNC),
    ],
)
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_commit_that_fails_takes_nothing_else_with_it(mode, kind, effect, code, opened):
    disk = Disk(1)
    connection = opened(disk, mode, "EXTRA")
    connection.execute("CREATE TABLE fills (number, padding)")
    put(connection, 0)
    disk.inject(Fault(effect=effect, kind=kind))

    with pytest.raises(sqlite3.OperationalError) as raised:
        put(connection, 1)
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    put(connection, 1)
    disk.crash()
    disk.restart()

    assert code == raised.value.sqlite_errorcode
    assert {0: 2, 1: 2} == found(disk)
    disk.close()


def test_what_a_failed_sync_left_unwritten_no_later_sync_writes():
    def left(seed: int) -> bytes:
        file = File()
        file.write(0, b"w" * 100)
        file.fail_sync(Random(seed), 512)
        file.sync()
        return file.survivor(Random(0), 512)

    assert {b"", b"w" * 100} < {left(seed) for seed in range(50)}


def test_a_file_that_cannot_be_opened_or_read_says_so(disk):
    trade(disk, [])
    disk.inject(Fault(effect="error", kind="open", name="a.sqlite"))
    with pytest.raises(sqlite3.OperationalError, match="unable to open database file"):
        disk.connect("a.sqlite")
    disk.inject(Fault(effect="error", kind="read", name="a.sqlite", lasting=True))

    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        found(disk)
    disk.heal()
    assert TRANSACTIONS == len(found(disk))


def test_bits_rot_at_rest(disk):
    trade(disk, [])
    before = disk.files()["a.sqlite"]

    place = disk.rot("a.sqlite", Random(1))

    after = disk.files()["a.sqlite"]
    assert [place] == [each for each in range(len(before)) if before[each] != after[each]]
    assert 1 == (before[place] ^ after[place]).bit_count()


def test_a_slow_sync_tells_how_long_it_took():
    waited: list[float] = []
    disk = Disk(1, wait=waited.append)
    disk.inject(Fault(effect="slow", kind="sync", seconds=2.5, at=3))
    committed: list[int] = []
    trade(disk, committed)
    disk.close()

    assert [2.5] == waited
    assert TRANSACTIONS == len(committed)


def test_time_is_what_the_clock_says():
    disk = Disk(1, clock=lambda: 1_700_000_000_000_000_000)

    with closing(disk), closing(disk.connect("a.sqlite")) as connection:
        (now,) = connection.execute("SELECT datetime('now')").fetchone()

    assert "2023-11-14 22:13:20" == now


def test_an_error_of_ours_is_raised_as_it_is():
    class Broken(Disk):
        def write(self, name: str | None, file: File, offset: int, data: bytes) -> None:
            raise ZeroDivisionError("ours")

    disk = Broken(1)
    with closing(disk.connect("a.sqlite")) as connection, pytest.raises(ZeroDivisionError, match="ours"):
        connection.execute("PRAGMA journal_mode = WAL")
    disk.close()


@pytest.mark.parametrize("fault", [{"effect": "short"}, {"effect": "crash", "at": 0}])
def test_a_fault_that_could_never_come_is_refused(fault):
    with pytest.raises(ValueError, match=r"kind must be|at must be"):
        Fault(**fault)


# Several connections.


def test_one_reads_its_snapshot_while_another_writes(disk, opened):
    writer, reader = opened(disk), opened(disk)
    writer.execute("CREATE TABLE fills (number, padding)")
    put(writer, 0)
    reader.execute("BEGIN")
    before = reader.execute("SELECT count(*) FROM fills").fetchone()

    put(writer, 1)
    during = reader.execute("SELECT count(*) FROM fills").fetchone()
    reader.execute("COMMIT")
    after = reader.execute("SELECT count(*) FROM fills").fetchone()

    assert [(2,), (2,), (4,)] == [before, during, after]


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_two_do_not_write_at_once(mode, opened):
    waited: list[float] = []
    disk = Disk(1, wait=waited.append)
    one, other = opened(disk, mode), opened(disk, mode)
    one.execute("CREATE TABLE fills (number, padding)")
    one.execute("BEGIN IMMEDIATE")

    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        other.execute("BEGIN IMMEDIATE")
    one.execute("COMMIT")
    put(other, 0)

    assert 4.5 < sum(waited) <= 5.0  # sqlite3's timeout, of which nobody slept a second
    disk.close()


def test_without_a_log_a_writer_waits_for_the_readers(disk, opened):
    reader, writer = opened(disk, "DELETE"), opened(disk, "DELETE")
    writer.execute("CREATE TABLE fills (number, padding)")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM fills").fetchall()
    writer.execute("BEGIN")
    writer.execute("INSERT INTO fills VALUES (1, 1)")

    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        writer.execute("COMMIT")
    reader.execute("COMMIT")
    writer.execute("COMMIT")

    assert [(1,)] == reader.execute("SELECT count(*) FROM fills").fetchall()


def test_threads_write_through_connections_of_their_own(disk, opened):
    opened(disk).execute("CREATE TABLE fills (number, padding)")

    def work(first: int) -> None:
        with closing(connect(disk)) as connection:
            for number in range(first, first + 20):
                while True:
                    try:
                        connection.execute("BEGIN IMMEDIATE")
                        break
                    except sqlite3.OperationalError:
                        continue
                connection.execute("INSERT INTO fills VALUES (?, 1), (?, 2)", (number, number))
                connection.execute("COMMIT")

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 60 == len(found(disk))


# The journal of nicegold.

RUN = Run("made-up", "paper", 1)


@contextmanager
def on(disk: Disk) -> Iterator[sa.Engine]:
    """The journal, opened by the code that opens it on a real disk."""

    def connect(dialect: object, record: object, arguments: object, options: dict[str, Any]) -> Any:
        return disk.connect("journal.sqlite", check_same_thread=options["check_same_thread"])

    sa.event.listen(sa.Engine, "do_connect", connect)
    try:
        store = open_journal(Path("journal.sqlite"))
        try:
            yield store
        finally:
            store.dispose()
    finally:
        sa.event.remove(sa.Engine, "do_connect", connect)


def order(number: int) -> Order:
    return Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal(number), id=f"s-{number}", strategy="s")


def record(disk: Disk, recorded: list[Event]) -> None:
    with on(disk) as store:
        journal = Journal(store, RUN, cause=[0], durable=True, by_reference=False)
        for number in range(1, 6):
            journal.record(order(number))
            recorded.append(order(number))


def journals(kind: type[Disk]) -> Iterator[tuple[list[Event], list[Event]]]:
    """What was recorded before a crash, at each operation, and what the journal has after it."""
    for at in count(1):
        for seed in SEEDS:
            disk = kind(seed)
            disk.inject(Fault(effect="crash", at=at))
            recorded: list[Event] = []
            try:
                record(disk, recorded)
                return
            except Crashed:
                disk.restart()
                with on(disk) as store:
                    yield recorded, list(read(store, RUN.run)) if all_runs(store) else []
            finally:
                disk.close()


@pytest.mark.slow
def test_the_journal_has_each_event_it_took_after_a_crash_at_every_operation():
    crashes = list(journals(Disk))

    assert len(crashes) > 100
    assert [] == [each for each in crashes if each[0] != each[1][: len(each[0])]]
    assert {0, 1} >= {len(found) - len(recorded) for recorded, found in crashes}


@pytest.mark.slow
def test_the_journal_on_a_disk_that_lies_about_syncs_loses_events():
    assert any(len(found) < len(recorded) for recorded, found in journals(Liar))
