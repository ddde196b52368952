"""Backups of a real PostgreSQL by a real pgBackRest: the drills of docs/disaster-recovery.md."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nicegold_ops.backup import BackupFailed, cluster, pgbackrest, restoration
from nicegold_ops.backup.repository import Secrets, encrypted, located
from nicegold_ops.backup.restoration import Restored, Target
from nicegold_ops.errors import ConfigurationError, DataError
from nicegold_ops.journal import Journal, Run, all_runs, open_journal, payloads
from tests.services.pgbackrest import PASSPHRASE, Site, order, site
from tests.services.s3 import s3

pytestmark = pytest.mark.slow

END = Target()
#: With which a file begins that pgBackRest encrypted.
_SALTED = b"Salted__"


def wanted(to: object, passphrase: str = PASSPHRASE, **keys: str) -> dict[str, str]:
    secrets = Secrets(passphrase=passphrase, **keys)
    return {**located(str(to), secrets), **encrypted(secrets)}


def trade(at: Site, seconds: float) -> int:
    """Place orders one after the other, for so long; answers how many there are."""
    ends, last = time.monotonic() + seconds, 1
    store = open_journal(at.server.url())
    journal = Journal(store, Run("trading", "live", 2), cause=[0], durable=True, by_reference=False)
    while time.monotonic() < ends:
        last += 1
        journal.record(order(last))
    store.dispose()
    return last


def recorded(at: Site) -> dict[str, bytes]:
    """What each run has on record."""
    store = open_journal(at.server.url())
    try:
        return {each.run: payloads(store, each.run) for each in all_runs(store)}
    finally:
        store.dispose()


def back_up(at: Site, **options: Any) -> cluster.Made:
    return cluster.make(at.server.url(), at.settings, wanted(at.repository), **options)


def restore(at: Site, target: Target = END, *, settings: Path | None = None, **options: Any) -> Restored:
    """Into a new folder, which is gone afterwards."""
    data = at.new_folder()
    try:
        return restored_into(data, at, target, settings=settings, **options)
    finally:
        shutil.rmtree(data)


def restored_into(
    data: Path, at: Site, target: Target = END, *, settings: Path | None = None, **options: Any
) -> Restored:
    return restoration.restore(at.server.url(), data, settings or at.settings, {}, target=target, **options)


def last_of(restored: Restored) -> str:
    assert restored.proof.last_order is not None
    return restored.proof.last_order.order.id


def another(at: Site, name: str, repository: Path, passphrase: str = PASSPHRASE) -> Path:
    """Settings that are about another *repository*, or say another passphrase."""
    settings = at.folder / f"{name}.conf"
    text = at.settings.read_text().replace(str(at.repository), str(repository))
    settings.touch(0o600)
    settings.write_text(text.replace(PASSPHRASE, passphrase))
    at.owner.give(settings)
    return settings


def copied(at: Site, name: str) -> tuple[Path, Path]:
    """A copy of the repository, which may be damaged, and its settings."""
    repository = at.folder / f"repository-{name}"
    shutil.copytree(at.repository, repository, symlinks=True)
    for path in (repository, *repository.rglob("*")):
        if not path.is_symlink():
            at.owner.give(path)
    return repository, another(at, name, repository)


def now(at: Site) -> datetime:
    return datetime.fromisoformat(at.sql("SELECT clock_timestamp()"))


@pytest.fixture(scope="module")
def archiving() -> Iterator[Site]:
    """A server that archives, with a full backup of 10 orders."""
    with site() as made:
        made.place(1, 10)
        with pytest.raises(ConfigurationError, match="does not archive"):
            back_up(made)
        made.archive()
        back_up(made)
        yield made


# The drill.


def test_all_that_was_archived_is_there_after_a_restore(archiving):
    archiving.place(11, 30)
    archiving.close_segment()
    before = recorded(archiving)

    restored = restore(archiving)

    assert "gold-30" == last_of(restored)
    assert (len(before), []) == (len(restored.proof.runs), restored.missing)
    assert before.keys() == {each.run for each in restored.proof.runs}


def test_a_backup_while_orders_are_placed_is_whole(archiving):
    archiving.place(31, 35)

    made = back_up(archiving)
    archiving.place(36, 40)
    archiving.close_segment()

    assert ("incr", []) == (made.backup.kind, made.problems)
    assert "gold-40" == last_of(restore(archiving))


def test_a_moment_between_two_orders_can_be_gone_back_to(archiving):
    archiving.place(41, 41)
    between = now(archiving)
    archiving.place(42, 42)
    archiving.close_segment()

    restored = restore(archiving, Target(time=between))

    assert "gold-41" == last_of(restored)
    assert between.isoformat() == restored.target


def test_a_named_point_can_be_gone_back_to(archiving):
    archiving.place(51, 51)
    archiving.sql("SELECT pg_create_restore_point('before 52')")
    archiving.place(52, 52)
    archiving.close_segment()

    assert "gold-51" == last_of(restore(archiving, Target(name="before 52")))


def test_what_is_restored_archives_nothing_until_it_is_told_to(archiving):
    data = archiving.new_folder()

    restored_into(data, archiving)

    assert "archive_mode = 'off'" in (data / "postgresql.auto.conf").read_text()
    assert not (data / "postmaster.pid").exists()


def test_a_restored_server_goes_on_and_is_backed_up_and_restored_again():
    with site() as at:
        at.place(1, 5)
        with pytest.raises(ConfigurationError):
            back_up(at)
        at.archive()
        back_up(at)
        at.close_segment()
        at.server.kill()
        at.server.data.rename(at.folder / "lost")
        at.server.data.mkdir(mode=0o700)
        at.owner.give(at.server.data)

        restored_into(at.server.data, at)
        at.server.start()
        with pytest.raises(ConfigurationError, match="archive_mode"):
            back_up(at)
        at.archive()
        made = back_up(at, kind="full", keep=1)
        at.place(6, 9)
        at.close_segment()
        again = restore(at)

    assert 1 == len(made.removed)
    assert ("gold-9", 9, []) == (last_of(again), again.proof.orders, again.missing)


def test_what_a_lost_machine_had_not_archived_is_lost_and_nothing_else():
    """RPO without a standby. Run it with -s for the figures of docs/disaster-recovery.md."""
    with site() as at:
        at.place(1, 1)
        with pytest.raises(ConfigurationError):
            back_up(at)
        at.archive(timeout=2)
        back_up(at)
        last = trade(at, seconds=7)
        lost_at = now(at)
        at.server.kill()

        restored = restore(at)

    ended = datetime.fromtimestamp(restored.last_commit / 1e9, UTC)
    print(
        f"\nRPO {(lost_at - ended).total_seconds():.2f} s of commits, "
        f"{last - restored.proof.orders:,} of {last:,} orders; RTO {restored.seconds:.2f} s"
    )
    assert f"gold-{restored.proof.orders}" == last_of(restored)
    assert timedelta(0) < lost_at - ended < timedelta(seconds=10)


# What is missing, damaged or not ours.


def test_a_segment_that_is_missing_is_named_and_what_is_before_it_is_restored(archiving):
    segments = []
    for number in (61, 62, 63):
        archiving.place(number, number)
        segments.append(archiving.close_segment())
    repository, settings = copied(archiving, "gap")
    next(repository.glob(f"archive/*/*/*/{segments[1]}-*")).unlink()

    listed = cluster.held(settings)
    restored = restore(archiving, settings=settings)
    with pytest.raises(DataError) as refused:
        restore(archiving, Target(time=datetime(2037, 1, 1, tzinfo=UTC)), settings=settings)

    assert [segments[1]] == restored.missing
    assert "gold-61" == last_of(restored)
    assert any(f"the archive lacks {segments[1]};" in each for each in listed.problems)
    assert f"was not reached, and the archive lacks {segments[1]};" in str(refused.value)


def test_a_moment_after_the_end_is_not_taken_for_the_end(archiving):
    with pytest.raises(
        DataError, match=r"recovery ended before .*: 2037-01-01T00:00:00\+00:00 was not reached"
    ):
        restore(archiving, Target(time=datetime(2037, 1, 1, tzinfo=UTC)))


def test_a_moment_before_the_first_backup_is_refused(archiving):
    with pytest.raises(DataError, match=r"no backup is as old as 2001-.*; the first one ended at 20"):
        restore(archiving, Target(time=datetime(2001, 1, 1, tzinfo=UTC)))


def test_a_point_that_nobody_named_is_refused(archiving):
    with pytest.raises(DataError, match='restore point "never" was not reached'):
        restore(archiving, Target(name="never"))


def test_a_wrong_passphrase_is_refused(archiving):
    settings = another(archiving, "wrong", archiving.repository, "but these are not the right ones")

    for refused in (lambda: restore(archiving, settings=settings), lambda: cluster.held(settings)):
        with pytest.raises(DataError, match="cannot be deciphered with this passphrase"):
            refused()


def test_settings_with_a_wrong_passphrase_are_not_left(archiving):
    settings = archiving.folder / "never.conf"

    with pytest.raises(DataError, match="cannot be deciphered"):
        restoration.restore(
            archiving.server.url(),
            archiving.new_folder(),
            settings,
            wanted(archiving.repository, "but these are not the right ones"),
            target=END,
        )

    assert [] == list(archiving.folder.glob("*never.conf*"))


def test_a_repository_is_restored_where_nothing_but_its_passphrase_is_known(archiving):
    settings, data = archiving.folder / "new.conf", archiving.new_folder()

    restoration.restore(archiving.server.url(), data, settings, wanted(archiving.repository), target=END)

    assert f"pg1-path={data}" in settings.read_text()
    assert (0o600, archiving.owner.user) == (settings.stat().st_mode & 0o777, settings.stat().st_uid)


def test_a_damaged_segment_is_found_when_the_repository_is_listed(archiving):
    archiving.place(71, 71)
    segment = archiving.close_segment()
    repository, settings = copied(archiving, "damaged")
    [file] = repository.glob(f"archive/*/*/*/{segment}-*")
    with file.open("r+b") as opened:
        opened.seek(100)
        opened.write(b"damaged!")

    assert any(segment in each for each in cluster.held(settings).problems)


def test_all_that_is_in_a_repository_is_encrypted(archiving):
    files = [path for path in archiving.repository.rglob("*") if path.is_file()]

    assert files
    assert [] == [path for path in files if not path.read_bytes().startswith(_SALTED)]


def test_no_program_is_told_the_passphrase(archiving, monkeypatch):
    typed: list[object] = []
    popen = subprocess.Popen

    def watched(*arguments: Any, **options: Any) -> Any:
        typed.append((arguments, options))
        return popen(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", watched)

    restore(archiving)

    assert typed
    assert PASSPHRASE not in repr(typed)


# What is refused.


def test_a_folder_that_is_not_empty_is_not_restored_into(archiving):
    data = archiving.new_folder()
    (data / "precious").touch()

    with pytest.raises(ConfigurationError, match="is not empty"):
        restored_into(data, archiving)

    assert ["precious"] == [path.name for path in data.iterdir()]


def test_the_folder_of_a_server_that_runs_is_not_restored_into(archiving):
    with pytest.raises(ConfigurationError, match="a server runs in"):
        restored_into(archiving.server.data, archiving)


def test_a_folder_that_is_not_there_is_named_with_what_makes_it(archiving):
    with pytest.raises(ConfigurationError, match="install -d -m 700"):
        restored_into(archiving.folder / "nowhere", archiving)


def test_a_backup_that_is_not_there_is_named_with_those_that_are(archiving):
    first = cluster.held(archiving.settings).backups[0].label

    with pytest.raises(DataError, match=f"holds no backup 20010101-000000F; it holds {first}"):
        restore(archiving, label="20010101-000000F")


def test_a_database_that_holds_no_store_is_named(archiving):
    database = archiving.server.new_database()
    archiving.close_segment()

    with pytest.raises(DataError, match=r"holds no store: .*name its database and user with --store"):
        restoration.restore(
            archiving.server.url(database), archiving.new_folder(), archiving.settings, {}, target=END
        )


def test_settings_that_say_otherwise_are_left_alone(archiving):
    before = archiving.settings.read_text()

    with pytest.raises(ConfigurationError, match="says otherwise about repo1-path"):
        cluster.make(archiving.server.url(), archiving.settings, wanted("/elsewhere"))

    assert before == archiving.settings.read_text()


def test_settings_that_others_may_read_are_refused(archiving):
    settings = another(archiving, "open", archiving.repository)
    settings.chmod(0o644)

    with pytest.raises(ConfigurationError, match="others than its owner may read it; chmod 600"):
        restore(archiving, settings=settings)


def test_who_may_not_see_where_the_files_are_is_told_what_to_grant(archiving):
    archiving.sql("CREATE ROLE modest LOGIN")
    url = archiving.server.url().replace("nicegold@", "modest@")

    with pytest.raises(ConfigurationError, match="GRANT pg_read_all_settings TO modest"):
        cluster.make(url, archiving.settings, {})


def test_a_repository_that_cannot_be_reached_is_told_from_one_that_is_empty(archiving, monkeypatch):
    monkeypatch.setattr(pgbackrest, "_PATIENCE", 1)
    keys = {"s3_key": "somebody", "s3_key_secret": "unknown"}
    nobody = "s3://gold/server?region=eu-central-1&endpoint=localhost&port=1&uri-style=path"

    with pytest.raises(BackupFailed, match=r"cannot be read: .*unable to connect to 'localhost:1'"):
        restoration.restore(
            archiving.server.url(),
            archiving.new_folder(),
            archiving.folder / "unreached.conf",
            wanted(nobody, **keys),
            target=END,
        )


# A bucket.


def test_a_bucket_of_s3_holds_what_is_restored_of_it():
    with s3() as bucket, site() as at:
        to = wanted(bucket.url, s3_key=bucket.key, s3_key_secret=bucket.key_secret)
        at.place(1, 5)
        with pytest.raises(ConfigurationError):
            cluster.make(at.server.url(), at.settings, to)
        at.archive()
        made = cluster.make(at.server.url(), at.settings, to)
        at.place(6, 9)
        at.close_segment()

        restored = restore(at)

        files = [path for path in bucket.objects.rglob("*") if path.is_file()]
        assert [] == [path for path in files if not path.read_bytes().startswith(_SALTED)]
    print(f"\nS3: backup {made.seconds:.2f} s, RTO {restored.seconds:.2f} s")
    assert ([], []) == (made.problems, restored.missing)
    assert "gold-9" == last_of(restored)


def test_a_bucket_that_refuses_the_keys_says_why():
    with s3() as bucket, site() as at:
        to = wanted(bucket.url, s3_key=bucket.key, s3_key_secret="wrong")

        with pytest.raises(BackupFailed, match=r"403 .*The request signature we calculated does not match"):
            cluster.make(at.server.url(), at.settings, to)
