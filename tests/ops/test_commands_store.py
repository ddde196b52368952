"""The commands on a store in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nicegold_ops.journal import find_run
from nicegold_ops.store.place import open_store
from nicegold_ops.store.queries import newest_orders, outbox_after
from tests.ops.commandline import Shell, market_in
from tests.ops.store.books import rows_of
from tests.services.postgresql import PostgreSQL, postgresql

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        yield running


@pytest.fixture
def url(server: PostgreSQL) -> str:
    return server.url(server.new_database())


@pytest.fixture
def shell(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    monkeypatch.chdir(tmp_path)
    path = market_in(tmp_path)
    path.write_text(path.read_text().replace('state = "state"', f'state = "state"\nstore = "{url}"'))
    return Shell(tmp_path, capsys)


@pytest.fixture
def store(url: str) -> Iterator[sa.Engine]:
    engine = open_store(url)
    yield engine
    engine.dispose()


def test_a_backtest_is_on_record_there_and_nowhere_else_and_its_replay_is_identical(shell, store):
    ran = shell("backtest", "--json", "-")
    again = shell("replay", "--json", "-")

    assert (0, 0) == (ran.code, again.code), ran.err + again.err
    assert (True, ran.json["run"], ran.json["fingerprint"]) == (
        again.json["identical"],
        again.json["run"],
        again.json["fingerprint"],
    )
    assert ran.json["run"] == find_run(store, None).run
    assert not (shell.folder / "state" / "journal.sqlite").exists()


def test_it_comes_to_the_same_as_in_a_file(shell):
    there = shell("backtest", "--json", "-").json
    here = shell("backtest", "--json", "-", "--config", str(market_in(shell.folder))).json

    assert here["fingerprint"] == there["fingerprint"]


def test_a_session_has_tables_and_outbox_when_it_ends_and_its_replay_is_identical(shell, store):
    ran = shell("run", "--set", "run.mode=paper", "--json", "-")

    assert 0 == ran.code, ran.err
    run = ran.json["run"]
    with store.connect() as connection:
        assert newest_orders(connection, run)
        assert "Finished" == outbox_after(connection, run, 0, limit=10_000)[-1].topic
    assert shell("replay", run, "--json", "-").json["identical"]


def test_the_report_and_the_black_box_of_a_run_are_found_in_its_state_folder(shell):
    run = shell("backtest", "--json", "-").json["run"]

    assert run == shell("blackbox", "--json", "-").json["run"]
    assert run == shell("report", "--json", "-").json["run"]


def test_a_backtest_makes_no_tables(shell, store):
    run = shell("backtest", "--json", "-").json["run"]

    assert not any(rows_of(store, run).values())


def test_a_check_leaves_the_database_alone(shell, server, url):
    assert 0 == shell("check").code

    with server.connect(url.rpartition("/")[2]) as connection:
        assert [] == connection.execute("SELECT * FROM pg_tables WHERE schemaname = 'public'").fetchall()


def test_a_server_that_is_gone_is_said_and_no_folder_of_a_run_stays(shell, url):
    nowhere = url.replace(str(sa.make_url(url).port), "1")

    answer = shell("backtest", "--set", f"run.store={nowhere}")

    assert 1 == answer.code
    assert f"{nowhere}: the journal cannot be opened: " in answer.err
    assert [] == [*(shell.folder / "state" / "runs").iterdir()]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql+psycopg://ana:hunter2@db/gold", "[run] store holds a password"),
        ("postgresql+psycopg://db/gold?password=hunter2", "[run] store holds a password"),
        (
            "sqlite:///journal.sqlite",
            "[run] store begins with sqlite://; one in PostgreSQL is postgresql+psycopg",
        ),
        (
            "journal.sqlite",
            "[run] store cannot be read; one in PostgreSQL is postgresql+psycopg://user@host/database",
        ),
    ],
)
def test_a_store_that_cannot_be_meant_is_refused_and_a_password_is_not_repeated(shell, url, said):
    answer = shell("backtest", "--set", f"run.store={url}")

    assert 2 == answer.code
    assert said in answer.err
    assert "hunter2" not in answer.err


def test_doctor_reads_the_runs_in_the_database_and_finds_what_was_tampered_with(shell, store):
    run = shell("backtest", "--json", "-").json["run"]
    sound = shell("doctor", "--json", "-").json
    with store.begin() as connection:
        connection.exec_driver_sql("UPDATE blocks SET payload = '' WHERE number = 0")

    damaged = shell("doctor", "--json", "-").json

    assert ["ok", "fail"] == [status_of(f"run {run}", each) for each in (sound, damaged)]


def status_of(about: str, found: list[dict[str, str]]) -> str:
    return next(each["status"] for each in found if each["about"] == about)
