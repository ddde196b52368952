"""Copies of a journal, by themselves and of a session that trades and is killed."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path

import msgspec
import pytest

from nicegold import Order, Side
from nicegold_ops.backup import BackupFailed, copies
from nicegold_ops.backup.copies import Manifest
from nicegold_ops.errors import ConfigurationError, DataError
from nicegold_ops.journal import Journal, Run, all_runs, journal_path, open_journal, payloads
from tests.ops.commandline import market_in, spawn, spawned, wait_until

NOON = 1_800_000_000_000_000_000
MINUTE = 60_000_000_000
BUSY = ("--set", "run.mode=paper", "--set", "plugins.cross.fast=1", "--set", "plugins.cross.slow=2")


def order(number: int) -> Order:
    return Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal("0.1"), id=f"gold-{number}", time=number)


def write(journal: Path, run: str, orders: int, mode: str = "paper") -> None:
    """Record a run of so many orders, each in a block of its own."""
    store = open_journal(journal)
    begun = len(all_runs(store))
    written = Journal(store, Run(run, mode, begun), cause=[0], durable=True, by_reference=False)
    for number in range(1, orders + 1):
        written.record(order(number))
    store.dispose()


def bytes_of(journal: Path) -> dict[str, bytes]:
    """What each run of *journal* has on record."""
    store = open_journal(journal)
    try:
        return {each.run: payloads(store, each.run) for each in all_runs(store)}
    finally:
        store.dispose()


def sequence(journal: Path) -> int:
    """The last number that is committed, also while a session writes."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        found: int | None = connection.execute("SELECT max(last_sequence) FROM blocks").fetchone()[0]
        return found or 0


def has_passed(journal: Path, number: int) -> bool:
    return sequence(journal) > number


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = journal_path(tmp_path / "state")
    write(path, "first", 3)
    return path


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "copies"


# A copy.


def test_a_copy_says_what_it_holds(journal, to):
    made = copies.make(journal, to, now=NOON)

    (run,) = made.manifest.runs
    assert ("first", "paper", 1, 3, 3) == (
        run.run,
        run.mode,
        run.first_sequence,
        run.last_sequence,
        run.orders,
    )
    assert made.file.stat().st_size == made.manifest.bytes
    assert (NOON, str(journal)) == (made.manifest.made_at, made.manifest.journal)
    assert made.manifest == msgspec.json.decode((to / f"{made.file.name}.json").read_bytes(), type=Manifest)


def test_a_copy_is_named_after_the_time_and_two_of_one_second_are_told_apart(journal, to):
    made = [copies.make(journal, to, now=NOON).file.name for _ in range(2)]

    assert ["journal-20270115T080000Z.sqlite", "journal-20270115T080000Z-2.sqlite"] == made


def test_a_journal_is_left_as_it_is(journal, to):
    before = journal.read_bytes()

    copies.make(journal, to, now=NOON)

    assert before == journal.read_bytes()


def test_a_journal_that_a_kill_left_is_copied_with_its_log_and_left_as_it_is(journal, to, tmp_path):
    store = open_journal(journal)
    written = Journal(store, Run("second", "paper", 2), cause=[0], durable=True, by_reference=False)
    written.record(order(1))
    killed = tmp_path / "killed"
    shutil.copytree(journal.parent, killed)
    store.dispose()
    before = {
        path.name: path.read_bytes() for path in killed.glob("*.sqlite*") if path.suffix != ".sqlite-shm"
    }

    made = copies.make(journal_path(killed), to, now=NOON)

    assert ["first", "second"] == [each.run for each in made.manifest.runs]
    assert before["journal.sqlite-wal"]
    assert before == {name: (killed / name).read_bytes() for name in before}


def test_a_copy_is_readable_by_those_who_may_read_the_journal(journal, to):
    journal.chmod(0o600)

    made = copies.make(journal, to, now=NOON)

    assert 0o600 == made.file.stat().st_mode & 0o777


def test_a_run_that_has_nothing_on_record_is_copied_too(journal, to):
    write(journal, "empty", 0)

    made = copies.make(journal, to, now=NOON)

    empty = made.manifest.runs[-1]
    assert ("empty", 0, 0, "") == (empty.run, empty.first_sequence, empty.last_sequence, empty.head)
    assert ["first", "empty"] == list(bytes_of(copies.restore(made.file, to / "again").journal))


def test_a_copy_never_takes_the_place_of_another(journal, to):
    copies.make(journal, to / "mine.sqlite", now=NOON)

    with pytest.raises(ConfigurationError, match=r"mine\.sqlite is there already"):
        copies.make(journal, to / "mine.sqlite", now=NOON)


def test_a_journal_that_is_not_sound_gives_no_copy_and_its_block_is_named(journal, to):
    damage(journal, b'"gold-2"', b'"gold-9"')

    with pytest.raises(DataError, match=r"state/journal\.sqlite: block 1 of run first .* was changed"):
        copies.make(journal, to, now=NOON)

    assert [] == names(to)[1:]


def test_a_journal_whose_numbers_are_not_those_of_its_events_gives_no_copy(journal, to):
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("UPDATE blocks SET last_sequence = 9 WHERE number = 2")
        connection.commit()

    with pytest.raises(DataError, match="run first has no block that ends at its last event, 3"):
        copies.make(journal, to, now=NOON)


def test_a_journal_whose_file_is_damaged_outside_of_its_blocks_gives_no_copy(journal, to):
    content = bytearray(journal.read_bytes())
    content[36:40] = (5).to_bytes(4, "big")  # pages that are free, of which there are none
    journal.write_bytes(content)

    with pytest.raises(DataError, match=r"state/journal\.sqlite is damaged: .*freelist"):
        copies.make(journal, to, now=NOON)


def test_without_its_manifest_a_copy_does_not_get_its_name(journal, to):
    (to / "mine.sqlite.json").mkdir(parents=True)

    with pytest.raises(BackupFailed, match="Is a directory"):
        copies.make(journal, to / "mine.sqlite", now=NOON)

    assert [".nicegold-backup.lock", "mine.sqlite.json"] == names(to)


def test_what_is_no_journal_gives_no_copy(tmp_path, to):
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"no database at all" * 100)

    with pytest.raises(DataError, match=r"journal\.sqlite cannot be copied: file is not a database"):
        copies.make(path, to, now=NOON)


def test_a_journal_that_cannot_be_opened_is_told_from_a_copy_that_cannot_be_written(journal, to):
    journal.with_name("journal.sqlite-wal").mkdir()

    with pytest.raises(
        DataError, match=r"state/journal\.sqlite cannot be read: unable to open database file"
    ):
        copies.make(journal, to, now=NOON)


def test_a_disk_that_has_no_room_for_it_is_refused_before_anything_is_written(journal, to):
    needed = journal.stat().st_size

    with pytest.raises(BackupFailed, match="MB free, and the copy needs 100"):
        copies.make(journal, to, now=NOON, free=lambda folder: needed)

    assert [] == names(to)[1:]


def test_two_copies_are_not_written_into_one_folder_at_once(journal, to):
    copies.make(journal, to, now=NOON)
    with (to / ".nicegold-backup.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        with pytest.raises(BackupFailed, match="another copy is being written there"):
            copies.make(journal, to, now=NOON + MINUTE)


def test_what_an_interrupted_one_left_is_no_copy_and_goes_with_the_next(journal, to):
    to.mkdir()
    left = to / ".journal-20270115T075900Z.sqlite.half"
    left.write_bytes(b"half of it")

    assert [] == copies.listed(to)
    copies.make(journal, to, now=NOON)

    assert not left.exists()


# Few of them.


def test_of_copies_of_one_journal_the_last_ones_are_kept(journal, to):
    made = []
    for minute in range(4):
        write(journal, f"run {minute}", 2)
        made.append(copies.make(journal, to, now=NOON + minute * MINUTE, keep=2))

    assert [made[1].file] == made[3].removed
    assert [each.file for each in made[2:]] == [each.file for each in copies.listed(to)]
    assert 4 == len([name for name in names(to) if name.startswith("journal-")])


def test_a_journal_that_began_anew_does_not_push_out_the_copies_of_the_old_one(journal, to):
    lost = copies.make(journal, to, now=NOON)
    journal.unlink()
    write(journal, "other", 9)

    made = [copies.make(journal, to, now=NOON + minute * MINUTE, keep=1) for minute in (1, 2)]

    assert [[lost.file], [lost.file]] == [each.spared for each in made]
    assert [lost.file, made[1].file] == [each.file for each in copies.listed(to)]


def test_a_run_of_the_same_name_that_went_otherwise_is_not_the_same(journal, to):
    lost = copies.make(journal, to, now=NOON)
    journal.unlink()
    write(journal, "first", 2)
    write(journal, "second", 9)

    made = copies.make(journal, to, now=NOON + MINUTE, keep=1)

    assert [lost.file] == made.spared


def test_a_clock_that_went_back_does_not_remove_the_copy_just_made(journal, to):
    later = copies.make(journal, to, now=NOON + MINUTE)

    made = copies.make(journal, to, now=NOON, keep=1)

    assert [later.file] == made.removed
    assert [made.file] == [each.file for each in copies.listed(to)]


def test_a_copy_that_cannot_be_trusted_is_neither_counted_nor_removed(journal, to):
    broken = copies.make(journal, to, now=NOON).file
    (to / f"{broken.name}.json").write_text("{")
    made = [copies.make(journal, to, now=NOON + minute * MINUTE, keep=2).file for minute in (1, 2)]

    assert [broken, *made] == [each.file for each in copies.listed(to)]


# Putting one back.


def test_a_copy_is_put_back_byte_for_byte(journal, to):
    write(journal, "second", 5)
    expected = bytes_of(journal)
    made = copies.make(journal, to, now=NOON)

    restored = copies.restore(made.file, to / "again")

    assert expected == bytes_of(restored.journal)
    assert restored.last_order is not None
    assert ("second", order(5)) == (restored.last_order.run, restored.last_order.order)


def test_a_copy_that_may_only_be_read_becomes_a_journal_that_its_owner_can_write(journal, to):
    copy = copies.make(journal, to, now=NOON).file
    copy.chmod(0o440)

    restored = copies.restore(copy, to / "again")

    assert 0o640 == restored.journal.stat().st_mode & 0o777


def test_the_last_order_is_one_that_left_where_there_is_one(journal, to):
    write(journal, "rehearsal", 7, mode="backtest")

    restored = copies.restore(copies.make(journal, to, now=NOON).file, to / "again")

    assert restored.last_order is not None
    assert "first" == restored.last_order.run


@pytest.mark.parametrize("name", ["journal.sqlite", "journal.sqlite-wal"])
def test_a_folder_with_a_journal_or_the_log_of_one_is_refused(name, journal, to):
    made = copies.make(journal, to, now=NOON)
    (to / "again").mkdir()
    (to / "again" / name).write_bytes(b"somebody's")

    with pytest.raises(ConfigurationError, match=rf"{name} is there already; name an empty folder"):
        copies.restore(made.file, to / "again")

    assert b"somebody's" == (to / "again" / name).read_bytes()


def test_what_was_lost_is_counted_where_the_old_journal_can_be_read(journal, to):
    made = copies.make(journal, to, now=NOON)
    write(journal, "second", 4)

    behind = copies.restore(made.file, to / "again").behind

    assert behind is not None
    assert (journal, 1, 4, 4) == (behind.journal, behind.runs, behind.events, behind.orders)


def test_nothing_is_lost_when_nothing_was_written_since(journal, to):
    made = copies.make(journal, to, now=0)

    behind = copies.restore(made.file, to / "again").behind

    assert behind is not None
    assert (0, 0, 0, 0.0) == (behind.runs, behind.events, behind.orders, behind.seconds)


def test_an_old_journal_that_was_moved_is_named(journal, to, tmp_path):
    made = copies.make(journal, to, now=NOON)
    write(journal, "second", 4)
    aside = tmp_path / "aside"
    journal.parent.rename(aside)

    untold = copies.restore(made.file, journal.parent)
    told = copies.restore(made.file, to / "again", old=journal_path(aside))

    assert "is what was restored" in untold.untold
    assert told.behind is not None
    assert 4 == told.behind.orders


@pytest.mark.parametrize("how", ["gone", "another", "not sound"])
def test_an_old_journal_that_tells_nothing_does_not_keep_a_copy_from_being_put_back(how, journal, to):
    made = copies.make(journal, to, now=NOON)
    match how:
        case "not sound":
            damage(journal, b'"gold-2"', b'"gold-9"')
        case _:
            journal.unlink()
    if how == "another":
        write(journal, "other", 1)

    restored = copies.restore(made.file, to / "again")

    assert restored.behind is None
    said = {"gone": "No such file", "another": "is another journal", "not sound": "block 1 of run first"}
    assert said[how] in restored.untold


# Copies that cannot be trusted.


def damage(path: Path, before: bytes, after: bytes) -> None:
    content = path.read_bytes()
    assert 1 == content.count(before)
    path.write_bytes(content.replace(before, after))


@pytest.mark.parametrize("block", [0, 1, 2])
def test_one_byte_changed_in_a_copy_is_found_and_its_block_named(block, journal, to):
    copy = copies.make(journal, to, now=NOON).file
    damage(copy, b'"gold-%d"' % (block + 1), b'"gold-X"')

    with pytest.raises(DataError) as failure:
        copies.restore(copy, to / "again")

    said = str(failure.value)
    assert said.startswith(f"{copy} has SHA-256 ")
    assert f"block {block} of run first is missing or was changed" in said
    assert said.endswith(f"restore another: nicegold backup --list --to {to}")
    assert [] == names(to / "again")[1:]


@pytest.mark.slow
def test_one_byte_changed_anywhere_in_a_copy_is_found(journal, to):
    copy = copies.make(journal, to, now=NOON).file
    content = copy.read_bytes()

    for place in range(0, len(content), 997):
        copy.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(DataError, match=f"^{copy} has SHA-256 .*; restore another: "):
            copies.restore(copy, to / "again")
        assert copies.listed(to)[0].problem, place

    assert [] == names(to / "again")[1:]


def test_a_copy_that_was_cut_short_is_found(journal, to):
    copy = copies.make(journal, to, now=NOON).file
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1])

    said = f"^{copy} has {len(whole) - 1:,} bytes, and its manifest says {len(whole):,}: "
    with pytest.raises(DataError, match=said):
        copies.restore(copy, to / "again")


def changed(copy: Path, before: str, after: str) -> None:
    damage(copy.with_name(f"{copy.name}.json"), before.encode(), after.encode())


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"sha256": "', '"sha256": "0', "every block in it is sound, so what was changed is outside"),
        ('"last_sequence": 3', '"last_sequence": 4', "run first in it is not the one that the manifest says"),
        ('"head": "', '"head": "0', "run first in it is not the one that the manifest says"),
        ('"made_at": ', '"made_at": 9', "is not a manifest: Expected `int` <= 9223372036854775807"),
        ('"bytes": ', '"bites": ', "is not a manifest: Object missing required field `bytes`"),
        ('"nicegold": "', '"nicegold": "99', "which is newer than this"),
    ],
)
def test_a_manifest_that_does_not_match_is_refused(before, after, said, journal, to):
    copy = copies.make(journal, to, now=NOON).file
    changed(copy, before, after)

    with pytest.raises(DataError) as failure:
        copies.restore(copy, to / "again")

    assert said in str(failure.value)
    assert str(copy) in str(failure.value)
    assert not journal_path(to / "again").exists()


def test_a_run_that_only_the_manifest_knows_is_missed(journal, to):
    write(journal, "second", 1)
    copy = copies.make(journal, to, now=NOON).file
    path = to / f"{copy.name}.json"
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    more = [*manifest.runs, msgspec.structs.replace(manifest.runs[0], run="third")]
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, runs=more)))

    with pytest.raises(DataError, match="it has fewer runs than the manifest says"):
        copies.restore(copy, to / "again")


def test_a_copy_without_its_manifest_is_refused_and_listed_so(journal, to):
    copy = copies.make(journal, to, now=NOON).file
    (to / f"{copy.name}.json").unlink()

    with pytest.raises(DataError, match="has no manifest that can be read"):
        copies.restore(copy, to / "again")

    (found,) = copies.listed(to)
    assert (copy, None) == (found.file, found.manifest)


def test_a_manifest_without_its_copy_is_listed_so(journal, to):
    copy = copies.make(journal, to, now=NOON).file
    copy.unlink()

    (found,) = copies.listed(to)

    assert (copy, f"{copy}: No such file or directory") == (found.file, found.problem)


# Of a session that trades.


@pytest.fixture
def market(tmp_path: Path) -> Path:
    market_in(tmp_path, bars=20_000, swing=0.3)
    return tmp_path


@contextmanager
def trading(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A session in *folder* that has begun to order, and is killed in the end."""
    journal = journal_path(folder / "state")
    with spawn(folder, "run", *BUSY, *options) as process:
        assert process.stdout is not None
        process.stdout.readline()  # what it says when its journal is there
        wait_until(lambda: sequence(journal) > 100, process)
        yield process
        assert process.poll() is None
        process.kill()
        process.communicate(timeout=60)


@pytest.mark.slow
def test_copies_of_a_journal_that_is_written_all_the_time_are_sound_twenty_times(market):
    journal = journal_path(market / "state")
    made = []

    with trading(market) as process:
        for number in range(20):
            wait_until(partial(has_passed, journal, sequence(journal)), process)
            made.append(copies.make(journal, market / "copies", now=NOON + number * MINUTE))

    events = [each.manifest.events for each in made]
    assert events == sorted(set(events))
    ((run, written),) = bytes_of(journal).items()
    for each in made:
        assert written.startswith(bytes_of(each.file)[run])


@pytest.mark.slow
def test_a_session_killed_while_it_trades_is_restored_up_to_its_last_backup(market):
    journal, again = journal_path(market / "state"), journal_path(market / "again")
    with trading(market, "--set", "run.pace=200") as process:
        made = spawned(market, "backup", "--to", "copies", "--json", "-")
        copied = made.json["manifest"]["runs"][0]["last_sequence"]
        wait_until(partial(has_passed, journal, copied + 200), process)

    began = time.perf_counter()
    restored = spawned(market, "restore", "--from", made.json["file"], "--state", "again", "--json", "-")
    replayed = spawned(market, "replay", "--state", "again", "--json", "-")
    recovery = time.perf_counter() - began

    assert (0, 0) == (restored.code, replayed.code), restored.err + replayed.err
    assert (True, False) == (replayed.json["identical"], replayed.json["finished"])
    # What follows from the last event on record is done again, and was not recorded.
    assert copied < replayed.json["events"]
    behind = restored.json["behind"]
    assert sequence(journal) - copied == behind["events"]
    assert 0 < behind["orders"] < behind["events"]
    assert behind["seconds"] > 0
    ((run, written),) = bytes_of(journal).items()
    assert written.startswith(bytes_of(again)[run])
    print(f"RPO {behind['seconds']:.2f} s: {behind['events']} events, {behind['orders']} orders")
    print(f"RTO {recovery:.2f} s with replay, of which the restore {restored.json['seconds']:.2f} s")
