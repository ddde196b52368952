"""`nicegold backup` and `nicegold restore` as an operator types them."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ops.commandline import Shell, market_in, spawned
from tests.services.pgbackrest import PASSPHRASE, Site, site

pytestmark = pytest.mark.slow

USAGE, DATA, OTHER = 2, 3, 1


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    market_in(tmp_path)
    return Shell(tmp_path, capsys)


def copy_in(folder: Path) -> Path:
    (copy,) = folder.glob("journal-*Z.sqlite")
    return copy


def test_a_journal_is_copied_and_put_back_and_replays_the_same(shell):
    ran = shell("backtest", "--json", "-").json

    made = shell("backup", "--to", "copies", "--json", "-").json
    restored = shell("restore", "--from", made["file"], "--state", "again", "--json", "-").json
    replayed = shell("replay", "--state", "again", "--json", "-").json

    assert [ran["run"]] == [each["run"] for each in made["manifest"]["runs"]]
    assert made["manifest"] == restored["manifest"]
    assert replayed["identical"]
    assert ran["fingerprint"] == replayed["fingerprint"]


def test_a_person_is_told_what_a_copy_holds(shell):
    shell("backtest")

    answer = shell("backup", "--to", "copies")

    assert (0, "") == (answer.code, answer.err)
    assert f"written  copies/{copy_in(Path('copies')).name}, " in answer.out
    assert "1 runs, " in answer.out
    assert "each chain verified" in answer.out


def test_a_person_is_told_what_was_restored_and_what_is_missing(shell):
    shell("backtest")
    shell("backup", "--to", "copies")
    shell("backtest")

    answer = shell("restore", "--from", str(copy_in(Path("copies"))), "--state", "again")

    assert (0, "") == (answer.code, answer.err)
    assert "restored    again/journal.sqlite" in answer.out
    assert "last order  cross-" in answer.out
    assert " orders, 1 runs of " in answer.out
    assert "s after the copy was made" in answer.out


def test_a_copy_can_have_a_name_of_its_own(shell):
    shell("backtest")

    answer = shell("backup", "--to", "safe/before.sqlite")

    assert 0 == answer.code
    assert [".nicegold-backup.lock", "before.sqlite", "before.sqlite.json"] == sorted(
        path.name for path in Path("safe").iterdir()
    )


def test_the_copies_are_listed_with_how_they_are(shell):
    shell("backtest")
    shell("backup", "--to", "copies/bad.sqlite")
    shell("backup", "--to", "copies/good.sqlite")
    with Path("copies/bad.sqlite").open("r+b") as file:
        file.seek(1000)
        file.write(b"!")

    answer = shell("backup", "--to", "copies", "--list")
    found = shell("backup", "--to", "copies", "--list", "--json", "-")

    assert (1, 1) == (answer.code, found.code)
    assert {"copies/bad.sqlite": False, "copies/good.sqlite": True} == {
        each["file"]: each["problem"] == "" for each in found.json
    }
    assert 1 == answer.out.count("verified")
    assert "copies/bad.sqlite has SHA-256 " in answer.out


def test_a_folder_without_copies_is_listed_so(shell):
    Path("copies").mkdir()

    answer = shell("backup", "--to", "copies", "--list")

    assert (0, "copies holds no copy yet\n") == (answer.code, answer.out)


def test_older_copies_are_removed_when_asked_to_keep_few(shell):
    shell("backtest")
    first = shell("backup", "--to", "copies", "--json", "-").json

    answer = shell("backup", "--to", "copies", "--keep", "1")

    assert f"removed  {first['file']}" in answer.out
    assert not Path(first["file"]).exists()


def test_a_full_disk_leaves_no_half_copy_and_says_what_to_do(shell):
    shell("backtest")
    limit = 40_000

    answer = spawned(
        shell.folder,
        "backup",
        "--to",
        "copies",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )

    assert OTHER == answer.code
    journal = shell.folder / "state" / "journal.sqlite"
    assert answer.err.startswith(f"error: copies: the copy of {journal} failed: ")
    assert answer.err.endswith("make room, or name another folder with --to\n")
    assert [".nicegold-backup.lock"] == [path.name for path in Path("copies").iterdir()]


def test_a_full_disk_leaves_no_half_journal_and_says_what_to_do(shell):
    shell("backtest")
    made = shell("backup", "--to", "copies", "--json", "-").json
    limit = 40_000

    answer = spawned(
        shell.folder,
        *("restore", "--from", made["file"], "--state", "again"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )

    assert OTHER == answer.code
    assert answer.err.endswith("make room, or name another folder with --state\n")
    assert [".nicegold-backup.lock"] == [path.name for path in Path("again").iterdir()]


@pytest.mark.parametrize("folder", ["bars.csv/copies", "/proc/copies"])
def test_a_folder_that_cannot_be_written_is_named_with_the_way_out(shell, folder):
    shell("backtest")

    answer = shell("backup", "--to", folder)

    assert OTHER == answer.code
    assert answer.err.startswith(f"error: {folder}: ")
    assert answer.err.endswith("name another folder with --to\n")


def test_a_state_folder_without_a_journal_has_nothing_to_copy(shell):
    answer = shell("backup", "--state", "nowhere", "--to", "copies")

    assert DATA == answer.code
    assert "error: nowhere/journal.sqlite: there is no journal; name its folder with --state\n" == answer.err
    assert not Path("nowhere").exists()


def test_a_copy_that_is_not_there_says_where_to_look(shell):
    answer = shell("restore", "--from", "copies/none.sqlite", "--state", "again")

    assert DATA == answer.code
    assert (
        "error: copies/none.sqlite: there is no copy; see nicegold backup --list --to copies\n" == answer.err
    )


def test_a_journal_that_is_there_is_not_overwritten(shell):
    shell("backtest")
    made = shell("backup", "--to", "copies", "--json", "-").json
    before = Path("state/journal.sqlite").read_bytes()

    answer = shell("restore", "--from", made["file"], "--state", "state")

    assert USAGE == answer.code
    assert "state/journal.sqlite is there already; name an empty folder with --state" in answer.err
    assert before == Path("state/journal.sqlite").read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        ("--to", "copies", "--list", "--keep", "2"),
        ("--to", "copies", "--list", "--state", "state"),
        ("--to", "copy.sqlite", "--keep", "2"),
        ("--to", "copies", "--keep", "0"),
        (),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(shell, options):
    shell("backtest")

    answer = shell("backup", *options)

    assert USAGE == answer.code
    assert answer.err.startswith("error: ")
    assert not list(shell.folder.glob("cop*"))


# A journal in PostgreSQL.


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    """A server that does not archive yet, with three orders."""
    with site() as made:
        made.place(1, 3)
        yield made


@pytest.fixture
def options(server: Site, tmp_path: Path) -> tuple[str, ...]:
    """What names the repository for the first time."""
    passphrase = tmp_path / "passphrase"
    passphrase.touch(0o600)
    passphrase.write_text(f"{PASSPHRASE}\n")
    named = ("--pgbackrest", str(server.settings), "--passphrase-file", str(passphrase))
    return ("--store", server.server.url(), "--to", str(server.repository), *named)


@contextmanager
def without(file: Path) -> Iterator[None]:
    """*file* is not there meanwhile."""
    aside = file.with_name("aside")
    file.rename(aside)
    yield
    aside.rename(file)


@pytest.mark.slow
def test_a_server_is_backed_up_listed_and_restored(shell, server, options):
    url, settings = server.server.url(), ("--pgbackrest", str(server.settings))
    configuration = shell.folder / "nicegold.toml"
    configuration.write_text(
        configuration.read_text().replace('state = "state"', f'state = "state"\nstore = "{url}"')
    )

    refused = shell("backup", *options)
    server.archive()
    made = shell("backup", *options)
    server.place(4, 7)
    segment = server.close_segment()
    # From here on the configuration and the file that was written say the rest.
    listed = shell("backup", "--list", *settings)
    restored = shell("restore", "--data", str(server.new_folder()), *settings)
    again = shell("backup", "--type", "full", "--keep", "1", *settings, "--json", "-")

    assert USAGE == refused.code
    assert (
        "ALTER SYSTEM SET archive_mode = 'on'; ALTER SYSTEM SET archive_command = 'pgbackrest" in refused.err
    )
    assert (0, "") == (made.code, made.err)
    assert "encrypted; each file and segment verified" in made.out
    assert "the last 60 s of commits" in made.out
    assert (0, "") == (listed.code, listed.err)
    assert segment in listed.out
    assert (0, "") == (restored.code, restored.err)
    assert "holds        2 runs, 7 events, 7 orders, each chain verified" in restored.out
    assert "last order   gold-7: buy 0.1 XAUUSD at " in restored.out
    assert (0, "full", 1) == (again.code, again.json["backup"]["kind"], len(again.json["removed"]))


@pytest.mark.slow
def test_a_restore_that_lacks_a_segment_is_no_success(shell, server, options):
    shell("backup", *options)
    server.archive()
    shell("backup", *options)
    server.place(11, 11)
    missing = server.close_segment()
    server.place(12, 12)
    server.close_segment()
    settings = ("--store", options[1], "--pgbackrest", str(server.settings))

    with without(server.segment(missing)):
        restored = shell("restore", "--data", str(server.new_folder()), *settings)
        listed = shell("backup", "--list", *settings)

    assert DATA == restored.code
    assert f"does not: {missing} was missing there\n" in restored.err
    assert "each chain verified" in restored.out
    assert OTHER == listed.code
    assert f"the archive lacks {missing};" in listed.out


@pytest.mark.parametrize(
    ("passphrase", "mode", "said"),
    [
        ("long enough to be one that nobody guesses", 0o644, "chmod 600"),
        ("short", 0o600, "20 characters or more; make one with: openssl rand -base64 48"),
        ("long enough, and yet\non two lines", 0o600, "must be one line"),
    ],
)
def test_a_passphrase_that_protects_nothing_is_refused(shell, server, passphrase, mode, said):
    file = shell.write("passphrase", passphrase)
    file.chmod(mode)

    answer = shell("backup", "--store", server.server.url(), "--to", "copies", "--passphrase-file", str(file))

    assert USAGE == answer.code
    assert said in answer.err
    assert passphrase not in answer.err


def test_a_repository_without_a_passphrase_is_not_begun(shell, server):
    new = ("--pgbackrest", str(server.folder / "new.conf"))

    answer = shell("backup", "--store", server.server.url(), "--to", "copies", *new)

    assert USAGE == answer.code
    assert "give it with --passphrase-file FILE or in NICEGOLD_BACKUP_PASSPHRASE" in answer.err
    assert not (server.folder / "new.conf").exists()


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("ftp://gold", "neither a folder nor s3://BUCKET"),
        ("s3://gold/server", "names no bucket or no region"),
        ("s3://gold/server?regoin=eu-central-1", 'has no option "regoin"; did you mean "region"?'),
        ("s3://gold/server?region=eu%0Acentral", "region cannot be 'eu\\ncentral'"),
    ],
)
def test_a_repository_that_cannot_be_meant_is_refused(shell, to, said):
    answer = shell("backup", "--store", "postgresql+psycopg://gold@localhost/gold", "--to", to)

    assert USAGE == answer.code
    assert said in answer.err


@pytest.mark.parametrize(
    "typed",
    [
        ("backup", "--to", "copies", "--type", "full"),
        ("backup", "--to", "copies", "--state", "state", "--store", "postgresql+psycopg://localhost/gold"),
        ("backup", "--list", "--store", "postgresql+psycopg://localhost/gold", "--to", "copies"),
        ("restore", "--from", "copies", "--state", "again", "--to-name", "x"),
        ("restore", "--data", "again", "--state", "again"),
        ("restore", "--data", "again"),
        ("restore", "--data", "again", "--to-name", "x", "--to-time", "2026-11-27T13:06:52Z"),
        ("restore", "--data", "again", "--to-time", "2026-11-27T13:06:52"),
        ("restore", "--data", "again", "--to-time", "yesterday"),
        ("restore",),
    ],
)
def test_what_is_for_a_file_and_what_is_for_a_server_are_told_apart(shell, typed):
    answer = shell(*typed)

    assert USAGE == answer.code
    assert answer.err.startswith("error: ")
    assert not list(shell.folder.glob("cop*"))
